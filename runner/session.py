"""One run of the runner: plan, check, build, export; and what there is to report afterwards."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner import options
from runner.errors import Kind, RunnerError, build_error, input_error
from runner.events import Listener
from runner.execute import Executor, Result, Rooms
from runner.layout import lay_out, source_date_epoch
from runner.libdir import Library
from runner.manifest.model import Manifest, What
from runner.manifest.v1 import describe_manifest
from runner.plan import Act, Action, Line, StoreState, base_layers, plan
from runner.sandbox import bwrap, namespace
from runner.sources.fetch import Fetcher
from runner.stop import Stop
from runner.store.scratch import Scratch, default_root
from runner.store.store import Store
from runner.tree import Trees
from runner.tree.overlay import OverlayTrees
from runner.tree.plain import PlainTrees


@dataclass(frozen=True)
class Settings:
    """What a person chooses about a run; all paths are absolute but those of libdirs.

    scratch None means: wherever there is room. overlay False means: make trees by copying. output_directory None
    means: leave the output in the store. exports are ids of trees or outputs to put there as well; jobs is how many
    pipelines are built at a time; cache_size bounds the store, in bytes.
    """

    store: Path
    libdirs: tuple[Path, ...] = ()
    output_directory: Path | None = None
    scratch: Path | None = None
    overlay: bool = True
    debug_shell: bool = False
    jobs: int = 2
    exports: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    cache_size: int = 0


@dataclass
class Build:
    """One manifest on its way: what there is to do, and what became of it."""

    manifest: Manifest
    lines: list[Line]
    actions: list[Action]
    results: list[Result] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    error: RunnerError | None = None

    @property
    def runs(self) -> list[Action]:
        """The actions that are not done yet."""
        return [action for action in self.actions if action.act is Act.RUN]


class Session:
    """A run and its results, which are there as far as it came when it was ended by an error."""

    def __init__(self, tell: Listener) -> None:
        """tell gets the events."""
        self.tell = tell
        self._builds: list[Build] = []

    def plan(self, manifests: Sequence[Manifest], settings: Settings) -> list[Action]:
        """What a build would do. Raises RunnerError for a pipeline that can't be built."""
        store = Store(settings.store)
        try:
            builds = _plan(manifests, settings, store)
            return [action for build in builds for action in build.actions]
        finally:
            store.close()

    def build(self, manifests: Sequence[Manifest], settings: Settings) -> None:
        """Build the manifests' pipelines. Raises RunnerError; what had succeeded is in the store."""
        scratch_root = settings.scratch or default_root(settings.store, os.geteuid())
        store = Store(settings.store)
        try:
            self._builds = _plan(manifests, settings, store)
            self.tell("plan", actions=[action.fields() for build in self._builds for action in build.actions])
            for build in self._builds:
                options.check(build.runs)
            if any(build.runs for build in self._builds) or settings.exports:
                self._execute(store, scratch_root, settings)
            else:
                self._tell_cached()
            for build in self._builds:
                self._finish(build, store, settings)
            store.bound(settings.cache_size, {key for build in self._builds for key in _keys(build)})
        finally:
            store.close()

    def _finish(self, build: Build, store: Store, settings: Settings) -> None:
        target = build.lines[-1]
        store.touch(_keys(build))
        store.remember(build.manifest.pipeline, target.steps)
        if settings.output_directory and target.assembler:
            build.files += store.export(target.assembler.key, settings.output_directory)

    def _tell_cached(self) -> None:
        for build in self._builds:
            for action in build.actions:
                if action.act is Act.CACHED:
                    stage = action.step.stage
                    self.tell("end", id=stage.id, name=stage.name, state="cached", seconds=0.0)

    def _execute(self, store: Store, scratch_root: Path, settings: Settings) -> None:
        bwrap.check_tools(action.step.program for build in self._builds for action in build.runs if action.step.in_host)
        user = os.geteuid() != 0
        namespace.enter()
        scratch = Scratch(scratch_root, store)
        os.chdir(scratch.root)  # overlay mounts name their layers relative to it
        fetcher = Fetcher(store, self.tell, settings.secrets)
        try:
            with scratch.workplace() as room:
                trees = self._trees(scratch, store, room, user=user, overlay=settings.overlay)
                fetcher.start(_sources(self._builds))
                rooms = Rooms(store, scratch, trees, fetcher, settings.debug_shell)
                self._run_all(rooms, settings.jobs if trees.background else 1)
                for wanted in settings.exports:
                    self._export(wanted, trees, settings, user=user)
        finally:
            fetcher.close()
            scratch.close()

    def _run_all(self, rooms: Rooms, jobs: int) -> None:
        """Build all pipelines, several at a time. When one fails the others go on; then the first error is raised."""
        stop = Stop()
        with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
            try:
                futures = [pool.submit(self._run_one, build, rooms, stop) for build in self._builds]
                for future in futures:
                    future.result()
            except BaseException:
                stop.ask()
                rooms.fetcher.close()
                raise
        errors = [build.error for build in self._builds if build.error]
        if errors:
            raise errors[0]

    def _run_one(self, build: Build, rooms: Rooms, stop: Stop) -> None:
        executor = Executor(rooms, build.manifest.sources, self.tell, stop)
        build.results = executor.results
        try:
            executor.run(build.lines, build.actions)
        except RunnerError as error:
            build.error = error
            if error.kind is Kind.BUILD and error.stage:
                error.command = _rerun(build.manifest, rooms.store)
        except OSError as error:
            build.error = build_error(f"{error.filename}: {error.strerror}" if error.filename else str(error))

    def _trees(self, scratch: Scratch, store: Store, room: Path, *, user: bool, overlay: bool) -> Trees:
        overlays = OverlayTrees(scratch, user=user)
        if overlay and overlays.works():
            return overlays
        if overlay:
            self.tell(
                "note",
                message=f"overlayfs cannot be used in {scratch.root}: trees are copied, which is slower",
                hint="--scratch takes a directory on another file system, for instance tmpfs, ext4 or xfs",
            )
        return PlainTrees(store, room)

    def _export(self, wanted: str, trees: Trees, settings: Settings, *, user: bool) -> None:
        """Put a tree of one of the pipelines into the output directory, below its id."""
        for build in self._builds:
            for line in build.lines:
                for position, step in enumerate(line.stages):
                    if step.stage.id == wanted:
                        if user:
                            raise input_error(
                                "--export: an ordinary user cannot own a tree's files",
                                hint="the assembler org.osbuild.tar makes an archive of a tree",
                            )
                        with trees.reading((*line.base, *(s.key for s in line.stages[: position + 1]))) as tree:
                            build.files.append(_copy_tree(tree, _output(settings) / wanted))
                        return

    def result(self, seconds: float, *, success: bool) -> dict[str, Any]:
        """The result as JSON values; the ids are those of the last pipeline."""
        pipeline = self._builds[-1].manifest.pipeline if self._builds else None
        return {
            "success": success,
            "tree_id": pipeline.tree_id if pipeline else None,
            "output_id": pipeline.output_id if pipeline else None,
            "files": [str(path) for build in self._builds for path in build.files],
            "seconds": round(seconds, 3),
        }

    def steps(self) -> list[dict[str, Any]]:
        """The steps that ran or came from the store, in turn, as JSON values; the last one may have failed."""
        return [_step_fields(result) for build in self._builds for result in build.results]


def _step_fields(result: Result) -> dict[str, Any]:
    stage = result.step.stage
    return {
        "what": stage.what.value,
        "id": stage.id,
        "name": stage.name,
        "options": dict(stage.options),
        "success": result.success,
        "cached": result.act is Act.CACHED,
        "output": result.output,
        "returncode": result.returncode,
        "duration": round(result.seconds, 3),
    }


def _plan(manifests: Sequence[Manifest], settings: Settings, store: Store) -> list[Build]:
    library = Library(settings.libdirs)
    state = store.state()
    builds = []
    for manifest in manifests:
        bases = base_layers(manifest, state.trees)
        lines = lay_out(manifest, library, bases, source_date_epoch())
        builds.append(Build(manifest, lines, plan(lines, _trusted(state, lines, store))))
    ids = {step.stage.id for build in builds for line in build.lines for step in line.steps}
    for wanted in settings.checkpoints:
        if wanted not in ids:
            raise build_error(f"Checkpoint {wanted} not found!", hint="--inspect shows the ids")
    for wanted in settings.exports:
        if wanted not in ids:
            raise input_error(f"--export: there is no {wanted} in the pipeline", hint="--inspect shows the ids")
        _output(settings)
    return builds


def _output(settings: Settings) -> Path:
    if settings.output_directory is None:
        raise input_error("--export needs --output-directory")
    return settings.output_directory


def _trusted(state: StoreState, lines: list[Line], store: Store) -> StoreState:
    """The state without outputs that were changed behind the store's back."""
    changed = {
        step.key
        for line in lines
        for step in line.steps
        if step.stage.what is What.ASSEMBLER and step.key in state.outputs and not store.output_is_whole(step.key)
    }
    return replace(state, outputs=state.outputs - changed)


def _keys(build: Build) -> set[str]:
    return {key for line in build.lines for key in (*line.stack, *(step.key for step in line.steps))}


def _sources(builds: Sequence[Build]) -> set[Any]:
    """The files that the steps which are going to run may read."""
    return {
        build.manifest.sources[checksum]
        for build in builds
        for action in build.runs
        for checksum in action.step.ingredients.sources
    }


def _rerun(manifest: Manifest, store: Store) -> str:
    """The command that runs what failed once more, with a shell in its sandbox; the manifest is kept for it."""
    path = store.keep_failed(json.dumps(describe_manifest(manifest, ids=False), indent=2, sort_keys=True).encode())
    return f"python3 -m runner --store {store.root} --debug-shell {path}"


def _copy_tree(tree: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.rmtree(target)
    argv = ["cp", "--archive", "--reflink=auto", "--no-target-directory", "--", str(tree), str(target)]
    done = subprocess.run(argv, check=False, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise build_error(f"the tree could not be copied to {target}", details=done.stderr.splitlines()[-5:])
    return target
