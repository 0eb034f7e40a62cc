"""One run of the runner: plan, check, build, export; and what there is to report afterwards."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runner import options
from runner.events import Listener
from runner.execute import Executor, Result
from runner.layout import lay_out, source_date_epoch
from runner.libdir import Library
from runner.manifest.model import Manifest, What
from runner.plan import Act, Action, Line, StoreState, base_layers, plan
from runner.sandbox import bwrap, namespace
from runner.store.scratch import Scratch, default_root
from runner.store.store import Store
from runner.tree import Trees
from runner.tree.overlay import OverlayTrees
from runner.tree.plain import PlainTrees


@dataclass(frozen=True)
class Settings:
    """What a person chooses about a run; all paths are absolute but those of libdirs.

    scratch None means: wherever there is room. overlay False means: make trees by copying. output_directory None
    means: leave the output in the store.
    """

    store: Path
    libdirs: tuple[Path, ...] = ()
    output_directory: Path | None = None
    scratch: Path | None = None
    overlay: bool = True


@dataclass(frozen=True)
class Job:
    """What there is to do: the pipelines laid out, and an action for each of their steps."""

    library: Library
    lines: list[Line]
    actions: list[Action]


class Session:
    """A run and its results, which are there as far as it came when it was ended by an error."""

    def __init__(self, tell: Listener) -> None:
        """tell gets the events."""
        self.tell = tell
        self._manifest: Manifest | None = None
        self._executor: Executor | None = None
        self._files: list[Path] = []

    def plan(self, manifest: Manifest, settings: Settings) -> list[Action]:
        """What a build would do. Raises RunnerError for a pipeline that can't be built."""
        store = Store(settings.store)
        try:
            return _plan(manifest, settings, store).actions
        finally:
            store.close()

    def build(self, manifest: Manifest, settings: Settings) -> None:
        """Build the manifest's pipeline. Raises RunnerError; what had succeeded is in the store."""
        self._manifest = manifest
        scratch_root = settings.scratch or default_root(settings.store, os.geteuid())
        store = Store(settings.store)
        try:
            job = _plan(manifest, settings, store)
            self.tell("plan", actions=[action.fields() for action in job.actions])
            to_run = [action.step.stage.id for action in job.actions if action.act is Act.RUN]
            options.check(manifest, job.library, to_run)
            if to_run:
                self._execute(store, scratch_root, job, overlay=settings.overlay)
            else:
                self._tell_cached(job.actions)
            target = job.lines[-1]
            store.remember(manifest.pipeline, target.steps)
            if settings.output_directory and target.assembler:
                self._files = store.export(target.assembler.key, settings.output_directory)
        finally:
            store.close()

    def _tell_cached(self, actions: list[Action]) -> None:
        for action in actions:
            if action.act is Act.CACHED:
                stage = action.step.stage
                self.tell("end", id=stage.id, name=stage.name, state="cached", seconds=0.0)

    def _execute(self, store: Store, scratch_root: Path, job: Job, *, overlay: bool) -> None:
        bwrap.check_tools(
            action.step.program for action in job.actions if action.act is Act.RUN and action.step.in_host
        )
        user = os.geteuid() != 0
        namespace.enter()
        scratch = Scratch(scratch_root, store)
        os.chdir(scratch.root)  # overlay mounts name their layers relative to it
        try:
            with scratch.workplace() as room:
                trees = self._trees(scratch, store, room, user=user, overlay=overlay)
                self._executor = Executor(store, scratch, trees, self.tell)
                self._executor.run(job.lines, job.actions)
        finally:
            scratch.close()

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

    def result(self, seconds: float, *, success: bool) -> dict[str, Any]:
        """The result as JSON values."""
        pipeline = self._manifest.pipeline if self._manifest else None
        return {
            "success": success,
            "tree_id": pipeline.tree_id if pipeline else None,
            "output_id": pipeline.output_id if pipeline else None,
            "files": [str(path) for path in self._files],
            "seconds": round(seconds, 3),
        }

    def steps(self) -> list[dict[str, Any]]:
        """The steps that ran or came from the store, in turn, as JSON values; the last one may have failed."""
        return [_step_fields(result) for result in (self._executor.results if self._executor else [])]


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


def _plan(manifest: Manifest, settings: Settings, store: Store) -> Job:
    library = Library(settings.libdirs)
    state = store.state()
    bases = base_layers(manifest, state.trees)
    lines = lay_out(manifest, library, bases, source_date_epoch())
    return Job(library, lines, plan(lines, _trusted(state, lines, store)))


def _trusted(state: StoreState, lines: list[Line], store: Store) -> StoreState:
    """The state without outputs that were changed behind the store's back."""
    changed = {
        step.key
        for line in lines
        for step in line.steps
        if step.stage.what is What.ASSEMBLER and step.key in state.outputs and not store.output_is_whole(step.key)
    }
    return replace(state, outputs=state.outputs - changed)
