"""What will be done, and why: a pure function of the manifest and the store's state.

Execution, `--plan` and progress totals all follow from the list of actions made here.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from runner.errors import input_error
from runner.libdir import Program
from runner.manifest.identity import Ingredients
from runner.manifest.model import Manifest, Pipeline, Stage

MAX_DIFFERENCES = 3


class Act(StrEnum):
    """What is done about a step: run it, take it from the store, or leave it out since nothing needs it."""

    RUN = "run"
    CACHED = "cached"
    SKIP = "skip"


@dataclass(frozen=True)
class Step:
    """One stage or assembler of one pipeline with all that decides its result.

    in_host says that it runs in the host's /usr, not in a build pipeline's tree; path is where the manifest has it.
    """

    pipeline: str
    stage: Stage
    program: Program
    ingredients: Ingredients
    key: str
    in_host: bool
    path: str = ""


@dataclass(frozen=True)
class Line:
    """A pipeline laid out as steps; base holds the keys of the layers below the first stage."""

    pipeline: Pipeline
    name: str
    base: tuple[str, ...]
    stages: tuple[Step, ...]
    assembler: Step | None

    @property
    def stack(self) -> tuple[str, ...]:
        """The keys of all layers of the finished tree, lowest first."""
        return (*self.base, *(step.key for step in self.stages))

    @property
    def steps(self) -> tuple[Step, ...]:
        """The stages, then the assembler."""
        return (*self.stages, *((self.assembler,) if self.assembler else ()))


@dataclass(frozen=True)
class PastStep:
    """A step of an earlier build: its key and the canonical ingredients that the key was made of."""

    name: str
    key: str
    ingredients: Mapping[str, Any]


@dataclass(frozen=True)
class StoreState:
    """What planning needs to know of a store.

    layers and outputs are keys that are there and whole; trees maps a tree's id to its layers' keys, lowest first;
    history holds earlier builds, the most recent first; changed has the keys of outputs that are not as they were left.
    """

    layers: frozenset[str] = frozenset()
    outputs: frozenset[str] = frozenset()
    trees: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    history: Sequence[tuple[PastStep, ...]] = ()
    changed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Action:
    """What is done about one step, and a reason that a person understands.

    shared says that it is cached only once another pipeline of the same run has made it.
    """

    act: Act
    step: Step
    reason: str
    shared: bool = False

    @property
    def open(self) -> bool:
        """Whether its result is still to be made."""
        return self.act is Act.RUN or self.shared

    def fields(self) -> dict[str, str]:
        """The action as JSON values."""
        stage = self.step.stage
        return {
            "kind": self.act.value,
            "what": stage.what.value,
            "name": stage.name,
            "id": stage.id,
            "pipeline": self.step.pipeline,
            "reason": self.reason,
        }


def plan(lines: Sequence[Line], state: StoreState, elsewhere: Container[str] = ()) -> list[Action]:
    """The actions for these pipelines, in the order in which they can run; the last line is what was asked for.

    Build pipelines come before the pipeline that they serve, and are skipped where nothing runs in their tree.
    elsewhere holds the keys of steps that other pipelines of the same run make.
    """
    decided: list[list[Action]] = []
    needed = True
    for line in reversed(lines):
        actions = _plan_line(line, state, elsewhere, needed)
        needed = any(action.open for action in actions)
        decided.append(actions)
    return [action for actions in reversed(decided) for action in actions]


def _plan_line(line: Line, state: StoreState, elsewhere: Container[str], needed: bool) -> list[Action]:
    if not needed:
        return [Action(Act.SKIP, step, "nothing has to run in this build root") for step in line.stages]
    past = _nearest(line, state)
    actions: list[Action] = []
    last = line.assembler
    if last and last.key in state.outputs:
        actions += [Action(Act.SKIP, step, "its image is in the store") for step in line.stages]
        return [*actions, Action(Act.CACHED, last, "unchanged")]
    changed: str | None = None
    for step in line.steps:
        if step.key in (state.outputs if step is last else state.layers):
            actions.append(Action(Act.CACHED, step, "unchanged"))
            continue
        if step.key in elsewhere:
            actions.append(Action(Act.CACHED, step, "made for another image of this run", shared=True))
            continue
        if step.key in state.changed:
            actions.append(Action(Act.RUN, step, "its image was written to, or the machine was restarted since"))
        else:
            actions.append(Action(Act.RUN, step, _reason(step, past, changed, _number(step, line))))
        changed = changed or step.stage.name
    return actions


def _number(step: Step, line: Line) -> int:
    """Which one of the steps of this name it is, from 0."""
    return [s for s in line.steps if s.stage.name == step.stage.name].index(step)


def _nearest(line: Line, state: StoreState) -> tuple[PastStep, ...]:
    """The earlier build most like this one: by steps in common, then the same names, then the most recent."""
    keys = {step.key for step in line.steps}
    names = [step.stage.name for step in line.steps]

    def likeness(past: tuple[PastStep, ...]) -> tuple[int, int]:
        return sum(p.key in keys for p in past), sum(a == b.name for a, b in zip(names, past, strict=False))

    best = max(state.history, key=likeness, default=())
    return best if best and likeness(best) > (0, 0) else ()


def _reason(step: Step, past: tuple[PastStep, ...], changed: str | None, number: int) -> str:
    same = [p for p in past if p.name == step.stage.name]
    if not same:
        return f"{changed} before it runs again" if changed else "not built before"
    before = same[min(number, len(same) - 1)]
    if before.key == step.key:
        return "its result is no longer in the store"
    differences = describe_change(before.ingredients, step.ingredients)
    if differences:
        return "; ".join(differences)
    return f"{changed} before it changed" if changed else "the tree before it changed"


def describe_change(before: Mapping[str, Any], now: Ingredients) -> list[str]:
    """What differs between the canonical ingredients of an earlier step and this one, apart from the parent."""
    told: list[str] = []
    if before.get("options") != now.options:
        told += _option_changes(before.get("options") or {}, now.options)
    words = {
        "program": "the stage's program changed",
        "build": "the build root changed",
        "source_date_epoch": "source_date_epoch changed",
        "architecture": "the architecture changed",
        "network": "its access to the network changed",
        "environment": "its environment changed",
        "sources": "its sources changed",
    }
    told += [text for name, text in words.items() if before.get(name) != getattr(now, name)]
    if before.get("secrets", {}) != now.secrets:
        told.append("its passphrases changed")
    return told


def _option_changes(before: Mapping[str, Any], now: Mapping[str, Any], path: str = "options") -> list[str]:
    told: list[str] = []
    for key in sorted({*before, *now}):
        old, new = before.get(key), now.get(key)
        if old == new:
            continue
        where = f"{path}.{key}"
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            told += _option_changes(old, new, where)
        elif isinstance(old, list) and isinstance(new, list):
            told.append(f"{where} changed: {_list_change(old, new)}")
        elif old is None or new is None:
            told.append(f"{where} {'added' if old is None else 'removed'}")
        else:
            told.append(f"{where} changed")
    return told if len(told) <= MAX_DIFFERENCES else [*told[:MAX_DIFFERENCES], f"{len(told) - MAX_DIFFERENCES} more"]


def _list_change(old: list[Any], new: list[Any]) -> str:
    plain = all(isinstance(item, str | int) for item in (*old, *new))
    if not plain:
        places = [i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b]
        named = [
            str(new[i].get("path") or new[i].get("name") or f"item {i}") for i in places if isinstance(new[i], dict)
        ]
        return ", ".join(named[:MAX_DIFFERENCES]) if named else f"{len(old)} items, now {len(new)}"
    signs = [f"+ {item}" for item in new if item not in old] + [f"- {item}" for item in old if item not in new]
    return ", ".join(signs) if signs else "order"


def base_layers(manifest: Manifest, trees: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The layers of each tree that a pipeline names as its base. Raises RunnerError (input) for an unknown one."""
    found: dict[str, tuple[str, ...]] = {}
    for pipeline in manifest.pipelines():
        if pipeline.base is None:
            continue
        if pipeline.base not in trees:
            raise input_error(
                f"base: tree {pipeline.base} is not in the store",
                hint="build the pipeline that makes it first, with the same --store",
            )
        found[pipeline.base] = trees[pipeline.base]
    return found
