"""One run of the runner: plan, check, build, export, report."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runner import passphrases, schedule
from runner.build import Build, RunSettings, StepResult, check, plan_builds, sources_of
from runner.cancellation import Cancellation
from runner.events import Listener
from runner.execute import RunContext
from runner.export import OutputDirectory, export_output, export_trees
from runner.failure import add_command
from runner.manifest.model import Manifest
from runner.outside import Outside
from runner.sandbox import limits, namespace, precautions, supervisor
from runner.sandbox.reachable import reachable
from runner.sandbox.readable import ReadableDirectories
from runner.sandbox.seccomp import filter_program
from runner.sources.fetch import Fetcher
from runner.steps import ActionKind, Step
from runner.store import locks, maintenance
from runner.store.scratch import Scratch
from runner.store.scratch_place import clear_scratch, default_root
from runner.store.store import Store
from runner.tree import Trees
from runner.tree.overlay import OverlayTrees
from runner.tree.plain import PlainTrees


class Session:
    """A run and its results, which are incomplete if an error ended it."""

    def __init__(self, emit: Listener, cancellation: Cancellation) -> None:
        """emit gets the events; cancellation ends the run early."""
        self.emit = emit
        self._cancellation = cancellation
        self._builds: list[Build] = []
        self._outside: Outside | None = None

    def plan(self, manifests: Sequence[Manifest], settings: RunSettings) -> dict[str, Any]:
        """What a build would do, as JSON values. Raises RunnerError for a pipeline that can't be built."""
        store = Store(settings.store, self._say)
        try:
            builds = plan_builds(manifests, settings, store)
            past = {build.name for build in store.state().history}
            return {
                "actions": _actions(builds),
                "pipelines": [{"name": build.label, "built_before": build.label in past} for build in builds],
                "jobs": settings.jobs,
            }
        finally:
            store.close()

    def build(self, manifests: Sequence[Manifest], settings: RunSettings) -> None:
        """Build the manifests' pipelines. Raises RunnerError; what had succeeded is in the store."""
        store = Store(settings.store, self._say)
        try:
            self._builds = plan_builds(manifests, settings, store)
            self.emit("plan", actions=_actions(self._builds), jobs=settings.jobs)
            check(self._builds)
            if any(build.pending for build in self._builds) or settings.exports:
                self._execute(store, settings.scratch or default_root(store), settings)
            else:
                self._outside = Outside() if settings.output_directory else None
                self._cancellation.listen(is_init=False)
                self._report_cached()
            store.record_costs(_costs(self._builds))
            self._finish(store, settings)
            self._raise_errors()
        finally:
            if self._outside:
                self._outside.close()
            store.close()

    def _say(self, message: str) -> None:
        self.emit("note", message=message)

    def _report_cached(self) -> None:
        for build in self._builds:
            for action in build.actions:
                if action.kind is ActionKind.CACHED:
                    call = action.step.call
                    self.emit("end", id=call.id, name=call.name, target=build.number, state="cached", seconds=0.0)
                    build.results.append(StepResult(action.step, ActionKind.CACHED, True))

    def _execute(self, store: Store, scratch_root: Path, settings: RunSettings) -> None:
        user = os.geteuid() != 0
        precautions.forbid_core_dumps()
        self._outside = Outside()
        locks.look_from_here()
        namespaces = namespace.enter()
        shell = settings.debug_shell
        supervisor.contain(self._cancellation, settings.parent, self._outside.pid, with_shell=shell)
        precautions.protect_devices()
        if filter_program() is None:
            self.emit(
                "note",
                message=f"there is no system call filter for {os.uname().machine}: sandboxes do without it",
                hint="they rely on namespaces and capabilities alone; docs/reference/runner.md has the architectures",
            )
        store.sweep()
        scratch = Scratch(scratch_root, store, namespaces.ids)
        limits.check_space((store.root, scratch.root))
        if settings.scratch is None:
            clear_scratch(store, keep=scratch_root)  # the amount of free memory changed
        fetcher = Fetcher(store, self.emit, settings.secrets)
        self._cancellation.then(fetcher.stop)
        try:
            with (
                reachable((store.root, scratch.root)) as paths,
                scratch.temporary() as work,
                scratch.temporary() as copies,
            ):
                os.chdir(scratch.root)  # overlay mounts name their layers relative to it
                trees = self._trees(scratch, store, work, overlay=settings.overlay)
                fetcher.start(sources_of(self._builds))
                context = RunContext(
                    store,
                    scratch,
                    trees,
                    fetcher,
                    self.emit,
                    self._cancellation,
                    namespaces.sandbox,
                    ReadableDirectories(copies),
                    paths,
                    settings.limits,
                    debug_shell=settings.debug_shell,
                    passphrases=passphrases.passphrases(settings.secrets),
                )
                schedule.run(self._builds, context, settings.jobs if trees.background else 1, settings.exports)
                export_trees(self._builds, settings, store, trees, self._outside.unpack_tree, user=user)
        finally:
            fetcher.close()
            scratch.close()

    def _trees(self, scratch: Scratch, store: Store, work: Path, *, overlay: bool) -> Trees:
        overlays = OverlayTrees(scratch)
        if overlay and overlays.works():
            return overlays
        if overlay:
            self.emit(
                "note",
                message=f"overlayfs cannot be used in {scratch.root}: trees are copied, which is slower",
                hint="--scratch takes a directory on another file system, for instance tmpfs, ext4 or xfs",
            )
        return PlainTrees(store, work)

    def _finish(self, store: Store, settings: RunSettings) -> None:
        """Record and export the results of builds that succeeded, and limit the size of the store."""
        outputs = OutputDirectory(settings, self._outside.export_output if self._outside else export_output)
        for build in self._builds:
            if build.error is not None:
                add_command(build, settings, store)
                continue
            store.touch(build.keys)
            for pipeline in build.pipelines:
                store.remember(pipeline.past_name(build.label), pipeline.steps)
            outputs.add(build, store)
            build.done = True
        maintenance.limit_size(store, settings.cache_size, {key for build in self._builds for key in build.keys})

    def _raise_errors(self) -> None:
        """Raise what a build failed with; if several failed for different reasons, emit all but the first."""
        errors = list({id(build.error): build.error for build in self._builds if build.error}.values())
        for error in errors[1:]:
            self.emit("error", **error.fields())
        if errors:
            raise errors[0]

    def result(self, seconds: float, *, success: bool) -> dict[str, Any]:
        """The result as JSON values; the ids are those of the last manifest's target."""
        target = self._builds[-1].manifest.target if self._builds else None
        return {
            "success": success,
            "tree_id": target.tree_id if target else None,
            "output_id": target.output_id if target else None,
            "files": [str(path) for build in self._builds for path in build.files],
            "pipelines": [build.fields() for build in self._builds],
            "seconds": round(seconds, 3),
        }

    def steps(self) -> list[dict[str, Any]]:
        """The steps that ran or came from the store, in turn, as JSON values; the last one may have failed."""
        return [result.fields() for build in self._builds for result in build.results]


def _actions(builds: Sequence[Build]) -> list[dict[str, Any]]:
    return [action.fields(build.number) for build in builds for action in build.actions]


def _costs(builds: Sequence[Build]) -> list[tuple[Step, float]]:
    """The steps that ran successfully, and the seconds that they took."""
    ran = [result for build in builds for result in build.results if result.kind is ActionKind.RUN and result.success]
    return [(result.step, result.seconds) for result in ran]
