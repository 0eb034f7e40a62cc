"""Steps, the actions planned for them, and the state of the store that plans depend on."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from runner import costs, titles
from runner.manifest.identity import Ingredients
from runner.manifest.model import ModuleCall, ModuleKind, Pipeline
from runner.programs import Program


class ActionKind(StrEnum):
    """What is done about a step: run it, take its result from the store, or skip it since nothing needs it."""

    RUN = "run"
    CACHED = "cached"
    SKIP = "skip"


@dataclass(frozen=True)
class Step:
    """One stage or assembler of one pipeline with everything that decides its result.

    pipeline is the name of its pipeline. in_host: it runs in the host's /usr, not in another pipeline's tree.
    """

    pipeline: str
    call: ModuleCall
    program: Program
    ingredients: Ingredients
    key: str
    in_host: bool

    @property
    def is_first(self) -> bool:
        """Whether the step starts from an empty tree."""
        return self.call.kind is ModuleKind.STAGE and self.ingredients.parent is None

    @property
    def title(self) -> str:
        """What the step is called for people."""
        program = self.program
        templates = [program.title_of_first, program.title] if self.is_first else [program.title]
        return titles.title([one for one in templates if one], self.call.options, program.summary or self.call.name)

    @property
    def cost_names(self) -> tuple[str, str]:
        """What the time that it takes is recorded under."""
        return costs.names(self.call.name, self.call.options, is_first=self.is_first)


@dataclass(frozen=True)
class PlannedPipeline:
    """A pipeline with its steps and their cache keys.

    base holds the keys of the layers below the first stage. assembler is None if there is none, and where only the
    tree is used. target: the pipeline is to be built, not only needed by others.
    """

    pipeline: Pipeline
    base: tuple[str, ...]
    stages: tuple[Step, ...]
    assembler: Step | None
    target: bool

    @property
    def name(self) -> str:
        """The pipeline's name."""
        return self.pipeline.name

    def past_name(self, label: str) -> str:
        """What its builds are recorded as; label is the name of what is built."""
        return label if self.target else f"{label}/{self.name}"

    @property
    def stack(self) -> tuple[str, ...]:
        """The keys of all layers of the finished tree, lowest first."""
        return (*self.base, *(step.key for step in self.stages))

    @property
    def steps(self) -> tuple[Step, ...]:
        """The stages, then the assembler."""
        return (*self.stages, self.assembler) if self.assembler else self.stages

    @property
    def references(self) -> tuple[str, ...]:
        """The names of the pipelines that this one needs."""
        return tuple(dict.fromkeys(self.pipeline.references(assembler=self.target)))


@dataclass(frozen=True)
class PastStep:
    """A step of an earlier build: its key and the canonical ingredients that the key was made of."""

    name: str
    key: str
    ingredients: Mapping[str, Any]

    @property
    def cost_names(self) -> tuple[str, str]:
        """What the time that it took was recorded under."""
        is_first = self.ingredients.get("kind") == ModuleKind.STAGE and self.ingredients.get("parent") is None
        return costs.names(self.name, self.ingredients.get("options") or {}, is_first=is_first)


@dataclass(frozen=True)
class PastBuild:
    """An earlier build of a pipeline. name is that of PlannedPipeline.past_name."""

    name: str
    steps: tuple[PastStep, ...]


@dataclass(frozen=True)
class Change:
    """A difference between the options of a step and those of the same step in an earlier build.

    path leads to the option. is_new, is_gone: only the new one, or only the old one, has it. Of lists, added and
    removed are the items, or their names, that only the new and only the old one has, changed those that differ, and
    reordered says that they have another order.
    """

    path: tuple[str, ...]
    is_new: bool = False
    is_gone: bool = False
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    reordered: bool = False


@dataclass(frozen=True)
class StoreState:
    """The state of a store, as far as planning depends on it.

    layers and outputs are the keys of those that are complete; trees maps the id of a tree to the keys of its layers,
    lowest first; history holds earlier builds, the most recent first; changed has the keys of outputs that were there
    and are no longer as they were left; costs are seconds that steps took (runner/costs.py).
    """

    layers: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()
    trees: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    history: Sequence[PastBuild] = ()
    changed: frozenset[str] = frozenset()
    costs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Action:
    """The action planned for one step, and the reason, for people.

    shared: it is cached only once another pipeline of the same run has made it. changes are those of the step's options
    since an earlier build; seconds is how long it is expected to run, None where that is unknown or nothing runs.
    """

    kind: ActionKind
    step: Step
    reason: str
    shared: bool = False
    changes: tuple[Change, ...] = ()
    seconds: float | None = None

    @property
    def pending(self) -> bool:
        """Whether the result is still to be made."""
        return self.kind is ActionKind.RUN or self.shared

    def fields(self, target: int) -> dict[str, Any]:
        """The action as JSON values; target is the number of the manifest that it is for, from 0."""
        call = self.step.call
        return {
            "kind": self.kind.value,
            "what": call.kind.value,
            "name": call.name,
            "title": self.step.title,
            "id": call.id,
            "pipeline": self.step.pipeline,
            "target": target,
            "reason": self.reason,
            "changes": [asdict(change) for change in self.changes],
            "seconds": self.seconds,
        }
