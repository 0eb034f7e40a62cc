"""Steps, the actions planned for them, and the state of the store that plans depend on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from runner.manifest.identity import Ingredients
from runner.manifest.model import ModuleCall, Pipeline
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


@dataclass(frozen=True)
class StoreState:
    """The state of a store, as far as planning depends on it.

    layers and outputs are the keys of those that are complete; trees maps the id of a tree to the keys of its layers,
    lowest first; history holds earlier builds, the most recent first; changed has the keys of outputs that were there
    and are no longer as they were left.
    """

    layers: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()
    trees: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    history: Sequence[tuple[PastStep, ...]] = ()
    changed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Action:
    """The action planned for one step, and the reason, for people.

    shared: it is cached only once another pipeline of the same run has made it.
    """

    kind: ActionKind
    step: Step
    reason: str
    shared: bool = False

    @property
    def pending(self) -> bool:
        """Whether the result is still to be made."""
        return self.kind is ActionKind.RUN or self.shared

    def fields(self) -> dict[str, str]:
        """The action as JSON values."""
        call = self.step.call
        return {
            "kind": self.kind.value,
            "what": call.kind.value,
            "name": call.name,
            "id": call.id,
            "pipeline": self.step.pipeline,
            "reason": self.reason,
        }
