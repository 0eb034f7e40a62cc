"""One run of the runner: plan, check, build, export; and what there is to report afterwards."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from runner import options, secrets
from runner.build import Build, Settings, keys_of, output_directory, plan_builds, sources_of
from runner.errors import Kind, RunnerError, build_error, input_error
from runner.events import Listener
from runner.execute import Executor, Rooms
from runner.manifest.model import Manifest
from runner.manifest.v1 import describe_manifest
from runner.plan import Act, Action, base_layers, plan
from runner.result import Result
from runner.sandbox import bwrap, namespace
from runner.sources.fetch import Fetcher
from runner.stop import Stop
from runner.store.layer import CorruptLayerError
from runner.store.scratch import Scratch, clear_scratch, default_root
from runner.store.store import Store
from runner.tree import Trees
from runner.tree.overlay import OverlayTrees
from runner.tree.plain import PlainTrees


class Session:
    """A run and its results, which are there as far as it came when it was ended by an error."""

    def __init__(self, tell: Listener) -> None:
        """tell gets the events."""
        self.tell = tell
        self._builds: list[Build] = []
        self._exported: dict[str, str] = {}  # names in the output directory, and the keys of the outputs they are of

    def plan(self, manifests: Sequence[Manifest], settings: Settings) -> list[Action]:
        """What a build would do. Raises RunnerError for a pipeline that can't be built."""
        store = Store(settings.store)
        try:
            builds = plan_builds(manifests, settings, store)
            return [action for build in builds for action in build.actions]
        finally:
            store.close()

    def build(self, manifests: Sequence[Manifest], settings: Settings) -> None:
        """Build the manifests' pipelines. Raises RunnerError; what had succeeded is in the store."""
        scratch_root = settings.scratch or default_root(settings.store, os.geteuid())
        store = Store(settings.store)
        try:
            self._builds = plan_builds(manifests, settings, store)
            self.tell("plan", actions=[action.fields() for build in self._builds for action in build.actions])
            _check(self._builds)
            if any(build.runs for build in self._builds) or settings.exports:
                self._execute(store, scratch_root, settings)
            else:
                self._tell_cached()
            for build in self._builds:
                if build.error is None:
                    self._finish(build, store, settings)
            store.bound(settings.cache_size, {key for build in self._builds for key in keys_of(build)})
            self._raise_errors()
        finally:
            store.close()

    def _finish(self, build: Build, store: Store, settings: Settings) -> None:
        target = build.lines[-1]
        store.touch(keys_of(build))
        store.remember(build.manifest.pipeline, target.steps)
        if settings.output_directory and target.assembler:
            key = target.assembler.key
            for name in store.output_names(key):
                if self._exported.setdefault(name, key) != key:
                    raise build_error(
                        f"two of the pipelines make {name}", hint="give them different names, or build them apart"
                    )
            build.files += store.export(key, settings.output_directory)
        build.done = True

    def _raise_errors(self) -> None:
        """Raise what a pipeline failed with; if several failed in different ways, tell all but the first."""
        errors = list({id(build.error): build.error for build in self._builds if build.error}.values())
        for error in errors[1:]:
            self.tell("error", **error.fields())
        if errors:
            raise errors[0]

    def _tell_cached(self) -> None:
        for build in self._builds:
            for action in build.actions:
                if action.act is Act.CACHED:
                    stage = action.step.stage
                    self.tell("end", id=stage.id, name=stage.name, state="cached", seconds=0.0)
                    build.results.append(Result(action.step, Act.CACHED, True))

    def _execute(self, store: Store, scratch_root: Path, settings: Settings) -> None:
        user = os.geteuid() != 0
        namespace.enter()
        scratch = Scratch(scratch_root, store)
        if settings.scratch is None:
            clear_scratch(store, keep=scratch_root)  # memory became short, or is there again
        os.chdir(scratch.root)  # overlay mounts name their layers relative to it
        fetcher = Fetcher(store, self.tell, settings.secrets)
        try:
            with scratch.workplace() as room:
                trees = self._trees(scratch, store, room, user=user, overlay=settings.overlay)
                fetcher.start(sources_of(self._builds))
                known = secrets.passphrases(settings.secrets)
                rooms = Rooms(store, scratch, trees, fetcher, settings.debug_shell, passphrases=known)
                self._run_all(rooms, settings, settings.jobs if trees.background else 1)
                for wanted in settings.exports:
                    self._export(wanted, store, trees, settings, user=user)
        finally:
            fetcher.close()
            scratch.close()

    def _run_all(self, rooms: Rooms, settings: Settings, jobs: int) -> None:
        """Build all pipelines, several at a time. When one fails the others go on, and its error is noted."""
        stop = Stop()
        with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
            try:
                futures = [pool.submit(self._run_one, build, rooms, settings, stop) for build in self._builds]
                for future in futures:
                    future.result()
            except BaseException:
                stop.ask()
                rooms.fetcher.close()
                raise

    def _run_one(self, build: Build, rooms: Rooms, settings: Settings, stop: Stop) -> None:
        executor = Executor(rooms, build.manifest.sources, self.tell, stop)
        build.results = executor.results
        try:
            while True:
                try:
                    executor.run(build.lines, build.actions)
                    return
                except CorruptLayerError as damaged:
                    self._make_again(build, damaged.key, rooms)
        except RunnerError as error:
            build.error = error
            if error.kind is Kind.BUILD and error.stage and not error.command:
                _tell_how_to_rerun(error, build.manifest, settings, rooms.store)
        except OSError as error:
            build.error = build_error(f"{error.filename}: {error.strerror}" if error.filename else str(error))

    def _make_again(self, build: Build, key: str, rooms: Rooms) -> None:
        """Plan anew without a layer that was damaged. Raises RunnerError (input) when it was part of a base tree."""
        info = rooms.store.layer(key)
        self.tell("note", message=f"the layer of {info.name if info else key} was damaged; it is made again")
        rooms.store.drop_layer(key)
        state = rooms.store.state()
        base_layers(build.manifest, state.trees)
        build.actions = plan(build.lines, state)
        _check([build])
        rooms.fetcher.start(sources_of([build]))

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

    def _export(self, wanted: str, store: Store, trees: Trees, settings: Settings, *, user: bool) -> None:
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
                        if build.error is None:
                            stack = (*line.base, *(s.key for s in line.stages[: position + 1]))
                            build.files.append(self._copy_out(store, trees, stack, output_directory(settings) / wanted))
                        return

    def _copy_out(self, store: Store, trees: Trees, stack: tuple[str, ...], target: Path) -> Path:
        try:
            with trees.reading(stack) as tree:
                return _copy_tree(tree, target)
        except CorruptLayerError as damaged:
            store.drop_layer(damaged.key)
            raise build_error(
                f"a layer of the tree {target.name} was damaged; it was removed from the store",
                hint="the same command makes it again",
            ) from None

    def result(self, seconds: float, *, success: bool) -> dict[str, Any]:
        """The result as JSON values; the ids are those of the last pipeline."""
        pipeline = self._builds[-1].manifest.pipeline if self._builds else None
        return {
            "success": success,
            "tree_id": pipeline.tree_id if pipeline else None,
            "output_id": pipeline.output_id if pipeline else None,
            "files": [str(path) for build in self._builds for path in build.files],
            "pipelines": [build.fields() for build in self._builds],
            "seconds": round(seconds, 3),
        }

    def steps(self) -> list[dict[str, Any]]:
        """The steps that ran or came from the store, in turn, as JSON values; the last one may have failed."""
        return [result.fields() for build in self._builds for result in build.results]


def _check(builds: Sequence[Build]) -> None:
    """Check the options of the steps that are going to run, and that their tools are there. Raises RunnerError."""
    for build in builds:
        options.check(build.runs)
    if any(build.runs for build in builds):
        bwrap.check_tools(action.step.program for build in builds for action in build.runs if action.step.in_host)


def _tell_how_to_rerun(error: RunnerError, manifest: Manifest, settings: Settings, store: Store) -> None:
    """Keep the manifest of what failed, and say how to run that once more with a shell in its sandbox."""
    text = json.dumps(describe_manifest(manifest, ids=False), indent=2, sort_keys=True)
    error.manifest = str(store.keep_failed(text.encode()))
    python = "python3" if sys.prefix == sys.base_prefix else sys.executable
    argv = [python, "-m", "runner", "--store", str(store.root)]
    argv += [word for path in settings.libdirs for word in ("--libdir", str(path.absolute()))]
    argv += ["--scratch", str(settings.scratch)] if settings.scratch else []
    error.command = shlex.join([*argv, "--debug-shell", error.manifest])


def _copy_tree(tree: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.rmtree(target)
    argv = ["cp", "--archive", "--reflink=auto", "--no-target-directory", "--", str(tree), str(target)]
    done = subprocess.run(argv, check=False, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise build_error(f"the tree could not be copied to {target}", details=done.stderr.splitlines()[-5:])
    return target
