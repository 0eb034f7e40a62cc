"""What a person asked for, and each manifest on its way from plan to result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner.errors import RunnerError, build_error, input_error
from runner.layout import lay_out, source_date_epoch
from runner.libdir import Library
from runner.manifest.model import Manifest
from runner.plan import Action, Line, StoreState, base_layers, plan
from runner.result import Result
from runner.secrets import passphrases
from runner.sources.model import Source
from runner.store.store import Store


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
    done: bool = False

    @property
    def runs(self) -> list[Action]:
        """The actions that are not done yet."""
        return [action for action in self.actions if action.open]

    def fields(self) -> dict[str, Any]:
        """How it ended, as JSON values."""
        pipeline = self.manifest.pipeline
        return {
            "name": pipeline.name,
            "success": self.done,
            "tree_id": pipeline.tree_id,
            "output_id": pipeline.output_id,
            "files": [str(path) for path in self.files],
        }


def plan_builds(manifests: Sequence[Manifest], settings: Settings, store: Store) -> list[Build]:
    """What there is to do for each manifest. Raises RunnerError (input) for one that can't be built as asked."""
    library = Library(settings.libdirs)
    state = store.state()
    builds: list[Build] = []
    making: set[str] = set()
    for manifest in manifests:
        bases = base_layers(manifest, state.trees)
        lines = lay_out(manifest, library, bases, source_date_epoch(), passphrases(settings.secrets))
        actions = plan(lines, _trusted(state, lines, settings, store), making)
        builds.append(Build(manifest, lines, actions))
        making |= {action.step.key for action in builds[-1].runs}
    ids = {step.stage.id for build in builds for line in build.lines for step in line.steps}
    for wanted in settings.checkpoints:
        if wanted not in ids:
            raise build_error(f"Checkpoint {wanted} not found!", hint="--inspect shows the ids")
    for wanted in settings.exports:
        if wanted not in ids:
            raise input_error(f"--export: there is no {wanted} in the pipeline", hint="--inspect shows the ids")
        output_directory(settings)
    return builds


def output_directory(settings: Settings) -> Path:
    """Where exports go. Raises RunnerError (input) when that is not said."""
    if settings.output_directory is None:
        raise input_error("--export needs --output-directory")
    return settings.output_directory


def _trusted(state: StoreState, lines: list[Line], settings: Settings, store: Store) -> StoreState:
    """The state without outputs that were changed behind the store's back, or whose tree is wanted and gone."""
    gone = any(
        step.stage.id in settings.exports and step.key not in state.layers for line in lines for step in line.stages
    )
    kept = {line.assembler.key for line in lines if line.assembler and line.assembler.key in state.outputs}
    changed = frozenset(key for key in kept if not store.output_is_whole(key))
    return replace(state, outputs=state.outputs - (kept if gone else changed), changed=changed)


def keys_of(build: Build) -> list[str]:
    """The keys of all layers and outputs of a build: what others are made of comes after them."""
    keys = [key for line in build.lines for key in (*line.stack, *(step.key for step in line.steps))]
    return list(dict.fromkeys(reversed(keys)))


def sources_of(builds: Sequence[Build]) -> set[Source]:
    """The files that the steps which are going to run may read."""
    return {
        build.manifest.sources[checksum]
        for build in builds
        for action in build.runs
        for checksum in action.step.ingredients.sources
    }
