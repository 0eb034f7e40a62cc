"""The settings of a run, and the state of each manifest's build from plan to result."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from runner import option_checks
from runner.errors import RunnerError, build_error, input_error
from runner.manifest.model import Manifest
from runner.manifest.sources import Source
from runner.passphrases import passphrases
from runner.plan import plan
from runner.programs import ProgramCatalog
from runner.resolve import base_layers, resolve, source_date_epoch
from runner.sandbox import bwrap
from runner.sandbox.limits import Limits
from runner.steps import Action, ActionKind, PlannedPipeline, Step, StoreState
from runner.store.store import Store


@dataclass(frozen=True)
class RunSettings:
    """What the user chooses for a run; all paths are absolute.

    scratch None: the default place with enough space. overlay False: make trees by copying. output_directory None:
    leave the output in the store. exports are ids of stages whose trees are exported as well; jobs is how many
    pipelines are built at a time; cache_size limits the store, in bytes (0: no limit). umask is the caller's, for
    exported files. limits are those of each step. The run ends with the process `parent`, unless that is None.
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
    umask: int = 0o022
    limits: Limits = field(default_factory=Limits)
    parent: int | None = None


@dataclass(frozen=True)
class StepResult:
    """The result of one step; output, returncode and log, the file with all of a long output, are set if it ran."""

    step: Step
    kind: ActionKind
    success: bool
    seconds: float = 0.0
    output: str = ""
    returncode: int = 0
    log: Path | None = None

    def brief(self) -> dict[str, Any]:
        """The result without options and output, as JSON values."""
        full = self.fields()
        return {name: full[name] for name in ("what", "id", "name", "title", "success", "cached", "duration")}

    def fields(self) -> dict[str, Any]:
        """The result as JSON values."""
        call = self.step.call
        return {
            "what": call.kind.value,
            "id": call.id,
            "name": call.name,
            "title": self.step.title,
            "options": dict(call.options),
            "success": self.success,
            "cached": self.kind is ActionKind.CACHED,
            "output": self.output,
            "log": str(self.log) if self.log else None,
            "returncode": self.returncode,
            "duration": round(self.seconds, 3),
        }


@dataclass
class Build:
    """The build of one manifest: its pipelines in an order in which they can run, the plan, and the results.

    number is the manifest's among those of the run, from 0.
    """

    number: int
    manifest: Manifest
    pipelines: list[PlannedPipeline]
    actions: list[Action]
    results: list[StepResult] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    checksums: dict[Path, str | None] = field(default_factory=dict)
    error: RunnerError | None = None
    done: bool = False

    @property
    def pending(self) -> list[Action]:
        """The actions whose results are still to be made."""
        return [action for action in self.actions if action.pending]

    @property
    def targets(self) -> list[PlannedPipeline]:
        """The pipelines to build, without those that they only depend on."""
        return [pipeline for pipeline in self.pipelines if pipeline.target]

    @property
    def keys(self) -> list[str]:
        """The keys of all layers and outputs; each comes before those that it depends on."""
        keys = [key for pipeline in self.pipelines for key in (*pipeline.stack, *(step.key for step in pipeline.steps))]
        return list(dict.fromkeys(reversed(keys)))

    @property
    def label(self) -> str:
        """The name of what is built, which the manifest gives; it may be empty."""
        return self.manifest.target.label

    def actions_of(self, pipeline: PlannedPipeline) -> list[Action]:
        """The actions about the steps of one pipeline, in order."""
        return [action for action in self.actions if action.step.pipeline == pipeline.name]

    def replan(self, state: StoreState, exports: Sequence[str]) -> None:
        """Plan again after the store has lost something. Raises RunnerError (input) when that was a base tree."""
        base_layers(self.manifest, state.trees)
        self.actions = plan(self.pipelines, state, exports=exports, label=self.label)

    def fields(self) -> dict[str, Any]:
        """The result as JSON values."""
        pipeline = self.manifest.target
        return {
            "name": pipeline.label,
            "success": self.done,
            "tree_id": pipeline.tree_id,
            "output_id": pipeline.output_id,
            "files": [str(path) for path in self.files],
            "outputs": [
                {"path": str(path), "size": _size(path), "sha256": checksum}
                for path, checksum in self.checksums.items()
            ],
            "seconds": round(sum(result.seconds for result in self.results), 3),
            "steps": [result.brief() for result in self.results],
        }


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None  # somebody has taken it away


def plan_builds(manifests: Sequence[Manifest], settings: RunSettings, store: Store) -> list[Build]:
    """Plan the build of each manifest. Raises RunnerError (input) for one that can't be built as requested."""
    catalog = ProgramCatalog(settings.libdirs)
    state = store.state()
    builds: list[Build] = []
    making: set[str] = set()
    for number, manifest in enumerate(manifests):
        bases = base_layers(manifest, state.trees)
        pipelines = resolve(manifest, catalog, bases, source_date_epoch(), passphrases(settings.secrets))
        intact = _without_damaged(state, pipelines, store)
        actions = plan(pipelines, intact, making, settings.exports, manifest.target.label)
        builds.append(Build(number, manifest, pipelines, actions))
        making |= {action.step.key for action in builds[-1].pending}
    _check_ids(builds, settings)
    return builds


def _without_damaged(state: StoreState, pipelines: Sequence[PlannedPipeline], store: Store) -> StoreState:
    """The state without those layers and outputs of these pipelines that are damaged, or were modified."""
    kept = {one.assembler.key for one in pipelines if one.assembler and one.assembler.key in state.outputs}
    changed = frozenset(key for key in kept if not store.output_is_intact(key))
    wanted = {step.key for one in pipelines for step in one.stages}
    lost = frozenset(key for key in wanted & state.layers if not store.has_layer(key))
    return replace(state, outputs=state.outputs - changed, changed=changed, layers=state.layers - lost)


def _check_ids(builds: Sequence[Build], settings: RunSettings) -> None:
    """Raise RunnerError for a checkpoint or export that no pipeline has, or an export without output directory."""
    ids = {step.call.id for build in builds for pipeline in build.pipelines for step in pipeline.steps}
    for wanted in settings.checkpoints:
        if wanted not in ids:
            raise build_error(f"Checkpoint {wanted} not found!", hint="--inspect shows the ids")
    for wanted in settings.exports:
        if wanted not in ids:
            raise input_error(f"--export: there is no {wanted} in the pipeline", hint="--inspect shows the ids")
        if settings.output_directory is None:
            raise input_error("--export needs --output-directory")


def check(builds: Sequence[Build]) -> None:
    """Check the options of the steps that are going to run, and that their tools are installed. Raises RunnerError."""
    for build in builds:
        option_checks.check(build.pending)
    pending = [action for build in builds for action in build.pending]
    if pending:
        bwrap.check_tools(action.step.program for action in pending if action.step.in_host)


def sources_of(builds: Sequence[Build]) -> set[Source]:
    """The files that the steps which are going to run may read."""
    return {
        build.manifest.sources[checksum]
        for build in builds
        for action in build.pending
        for checksum in action.step.ingredients.sources
    }
