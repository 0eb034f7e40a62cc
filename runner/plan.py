"""What is done about each step of a run, and why: a pure function of the pipelines and the state of the store.

Execution, `--plan` and progress totals all follow from the list of actions made here.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.manifest.identity import Ingredients
from runner.steps import Action, ActionKind, PastStep, PlannedPipeline, Step, StoreState

MAX_DIFFERENCES = 3


def plan(
    pipelines: Sequence[PlannedPipeline],
    state: StoreState,
    elsewhere: Collection[str] = (),
    exports: Collection[str] = (),
) -> list[Action]:
    """The actions for these pipelines, in an order in which they can run.

    Each pipeline comes after those that it refers to. Of those that are not targets, nothing is made that no other
    step needs. elsewhere holds the keys of steps that other manifests of the same run make, exports the ids of stages
    whose trees are exported.
    """
    needs = _needs(pipelines, state, exports)
    build_roots = {pipeline.pipeline.build for pipeline in pipelines}
    making = set(elsewhere)
    actions: list[Action] = []
    for pipeline in pipelines:
        unneeded = "nothing has to run in this build root" if pipeline.name in build_roots else "nothing needs its tree"
        decided = _plan_pipeline(pipeline, needs[pipeline.name], state, making, unneeded)
        making |= {action.step.key for action in decided if action.kind is ActionKind.RUN}
        actions += decided
    return actions


@dataclass
class _Need:
    """What is needed of a pipeline: whether anything, how many of its stages, and whether its output."""

    used: bool = False
    stages: int = 0
    output: bool = False

    def tree(self, pipeline: PlannedPipeline) -> None:
        """The finished tree is needed."""
        self.used, self.stages = True, len(pipeline.stages)


def _needs(pipelines: Sequence[PlannedPipeline], state: StoreState, exports: Collection[str]) -> Mapping[str, _Need]:
    """What is needed of each pipeline, by its name."""
    needs = {pipeline.name: _Need() for pipeline in pipelines}
    named = {pipeline.name: pipeline for pipeline in pipelines}
    for pipeline in reversed(pipelines):  # those that refer to a pipeline come before it
        need = needs[pipeline.name]
        for number, step in enumerate(pipeline.stages, 1):
            if step.call.id in exports:
                need.used, need.stages = True, max(need.stages, number)
        need.output = pipeline.assembler is not None and pipeline.assembler.key not in state.outputs
        if pipeline.target and (need.output or pipeline.assembler is None):
            need.tree(pipeline)
        base = pipeline.pipeline.base
        if need.used and base and base.pipeline is not None:
            needs[base.pipeline].tree(named[base.pipeline])
        missing = [step for step in pipeline.stages[: need.stages] if step.key not in state.layers]
        if need.output and pipeline.assembler:
            missing.append(pipeline.assembler)
        if missing and pipeline.pipeline.build is not None:
            needs[pipeline.pipeline.build].tree(named[pipeline.pipeline.build])
        for name in (name for step in missing for name in step.call.inputs.values()):
            needs[name].tree(named[name])
    return needs


def _plan_pipeline(
    pipeline: PlannedPipeline, need: _Need, state: StoreState, making: Collection[str], unneeded: str
) -> list[Action]:
    if pipeline.assembler and not need.output:
        unneeded = "its image is in the store"
    past = _nearest(pipeline, state) if need.used else ()
    actions: list[Action] = []
    changed: str | None = None
    for number, step in enumerate(pipeline.steps):
        is_output = step is pipeline.assembler
        if not is_output and number >= need.stages:
            actions.append(Action(ActionKind.SKIP, step, unneeded))
        elif step.key in (state.outputs if is_output else state.layers):
            actions.append(Action(ActionKind.CACHED, step, "unchanged"))
        elif step.key in making:
            actions.append(Action(ActionKind.CACHED, step, "made for another image of this run", shared=True))
        elif step.key in state.changed:
            reason = "its image in the store was written to, or damaged"
            actions.append(Action(ActionKind.RUN, step, reason))
            changed = changed or step.call.name
        else:
            reason = _reason(step, past, changed, _occurrence(step, pipeline))
            actions.append(Action(ActionKind.RUN, step, reason))
            changed = changed or step.call.name
    return actions


def _occurrence(step: Step, pipeline: PlannedPipeline) -> int:
    """Which one of the pipeline's steps of its name a step is, from 0."""
    return [other for other in pipeline.steps if other.call.name == step.call.name].index(step)


def _nearest(pipeline: PlannedPipeline, state: StoreState) -> tuple[PastStep, ...]:
    """The earlier build most like this one: by steps in common, then by equal names, then the most recent."""
    keys = {step.key for step in pipeline.steps}
    names = [step.call.name for step in pipeline.steps]

    def likeness(past: tuple[PastStep, ...]) -> tuple[int, int]:
        return sum(p.key in keys for p in past), sum(a == b.name for a, b in zip(names, past, strict=False))

    best = max(state.history, key=likeness, default=())
    return best if best and likeness(best) > (0, 0) else ()


def _reason(step: Step, past: tuple[PastStep, ...], changed: str | None, occurrence: int) -> str:
    same = [p for p in past if p.name == step.call.name]
    if not same:
        return f"{changed} before it runs again" if changed else "not built before"
    before = same[min(occurrence, len(same) - 1)]
    if before.key == step.key:
        return "its result is no longer in the store"
    differences = describe_change(before.ingredients, step.ingredients)
    if differences:
        return "; ".join(differences)
    return f"{changed} before it changed" if changed else "the tree before it changed"


def describe_change(before: Mapping[str, Any], now: Ingredients) -> list[str]:
    """What differs between the canonical ingredients of an earlier step and this one, apart from the parent."""
    differences: list[str] = []
    if before.get("options") != now.options:
        differences += _option_changes(before.get("options") or {}, now.options)
    words = {
        "program": "the stage's program changed",
        "build": "the build root changed",
        "source_date_epoch": "source_date_epoch changed",
        "architecture": "the architecture changed",
        "network": "its access to the network changed",
        "environment": "its environment changed",
        "sources": "its sources changed",
    }
    differences += [text for name, text in words.items() if before.get(name) != getattr(now, name)]
    if before.get("inputs", {}) != now.inputs:
        differences.append("the trees that it reads changed")
    if before.get("secrets", {}) != now.secrets:
        differences.append("its passphrases changed")
    return differences


def _option_changes(before: Mapping[str, Any], now: Mapping[str, Any], path: str = "options") -> list[str]:
    differences: list[str] = []
    for key in sorted({*before, *now}):
        old, new = before.get(key), now.get(key)
        if old == new:
            continue
        where = f"{path}.{key}"
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            differences += _option_changes(old, new, where)
        elif isinstance(old, list) and isinstance(new, list):
            differences.append(f"{where} changed: {_list_change(old, new)}")
        elif old is None or new is None:
            differences.append(f"{where} {'added' if old is None else 'removed'}")
        else:
            differences.append(f"{where} changed")
    if len(differences) > MAX_DIFFERENCES:
        more = len(differences) - MAX_DIFFERENCES
        return [*differences[:MAX_DIFFERENCES], f"{more} more"]
    return differences


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
