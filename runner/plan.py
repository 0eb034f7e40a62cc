"""What is done about each step of a run, and why: a pure function of the pipelines and the state of the store.

Execution, `--plan` and progress totals all follow from the list of actions made here.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner import costs
from runner.manifest.identity import Ingredients
from runner.steps import Action, ActionKind, Change, PastStep, PlannedPipeline, Step, StoreState

MAX_DIFFERENCES = 3
MAX_ITEMS = 8
MAX_ITEM = 100  # characters


def plan(
    pipelines: Sequence[PlannedPipeline],
    state: StoreState,
    elsewhere: Collection[str] = (),
    exports: Collection[str] = (),
    label: str = "",
) -> list[Action]:
    """The actions for these pipelines, in an order in which they can run.

    Each pipeline comes after those that it refers to. Of those that are not targets, nothing is made that no other
    step needs. elsewhere holds the keys of steps that other manifests of the same run make, exports the ids of stages
    whose trees are exported. label is the name of what is built: earlier builds of the same name are compared with.
    """
    needs = _needs(pipelines, state, exports)
    build_roots = {pipeline.pipeline.build for pipeline in pipelines}
    making = set(elsewhere)
    actions: list[Action] = []
    for pipeline in pipelines:
        if pipeline.name in build_roots:
            needs[pipeline.name].otherwise = "nothing has to run in this build root"
        decided = _plan_pipeline(pipeline, needs[pipeline.name], state, making, label)
        making |= {action.step.key for action in decided if action.kind is ActionKind.RUN}
        actions += decided
    return actions


@dataclass
class _Need:
    """What is needed of a pipeline: whether anything, how many of its stages, and whether its output.

    otherwise is why the other stages are not needed.
    """

    used: bool = False
    stages: int = 0
    output: bool = False
    otherwise: str = "nothing needs its tree"

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
    pipeline: PlannedPipeline, need: _Need, state: StoreState, making: Collection[str], label: str
) -> list[Action]:
    unneeded = need.otherwise
    if pipeline.assembler and not need.output:
        unneeded = "its image is in the store"
    past = _nearest(pipeline, state, label) if need.used or need.output else ()
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
            actions.append(Action(ActionKind.RUN, step, reason, seconds=_seconds(step, None, state)))
            changed = changed or step.title
        else:
            before = _before(step, past, _occurrence(step, pipeline))
            reason = _reason(step, before, changed)
            changes = option_changes(before.ingredients.get("options") or {}, step.call.options) if before else ()
            seconds = _seconds(step, before, state)
            actions.append(Action(ActionKind.RUN, step, reason, changes=tuple(changes), seconds=seconds))
            changed = changed or step.title
    return actions


def _seconds(step: Step, before: PastStep | None, state: StoreState) -> float | None:
    """How long the step is expected to take: what it took with these options, in the earlier build, or with others."""
    call, program = step.cost_names
    return costs.expected(state.costs, [call, *([before.cost_names[0]] if before else []), program])


def _occurrence(step: Step, pipeline: PlannedPipeline) -> int:
    """Which one of the pipeline's steps of its name a step is, from 0."""
    return [other for other in pipeline.steps if other.call.name == step.call.name].index(step)


def _nearest(pipeline: PlannedPipeline, state: StoreState, label: str) -> tuple[PastStep, ...]:
    """Of the earlier builds of this pipeline the one most like it: by steps in common, then equal names, then age."""
    keys = {step.key for step in pipeline.steps}
    names = [step.call.name for step in pipeline.steps]

    def likeness(past: tuple[PastStep, ...]) -> tuple[int, int]:
        return sum(p.key in keys for p in past), sum(a == b.name for a, b in zip(names, past, strict=False))

    wanted = pipeline.past_name(label)
    best = max((past.steps for past in state.history if past.name == wanted), key=likeness, default=())
    return best if best and likeness(best) > (0, 0) else ()


def _before(step: Step, past: tuple[PastStep, ...], occurrence: int) -> PastStep | None:
    """The same step in an earlier build; None if that had none of its name."""
    same = [p for p in past if p.name == step.call.name]
    return same[min(occurrence, len(same) - 1)] if same else None


def _reason(step: Step, before: PastStep | None, changed: str | None) -> str:
    if before is None:
        return f"follows: {changed}" if changed else "not built before"
    if before.key == step.key:
        return "its result is no longer in the store"
    differences = describe_change(before.ingredients, step.ingredients)
    if differences:
        return "; ".join(differences)
    return f"follows: {changed}" if changed else "the tree before it changed"


def describe_change(before: Mapping[str, Any], now: Ingredients) -> list[str]:
    """What differs between the canonical ingredients of an earlier step and this one, apart from the parent."""
    differences: list[str] = []
    if before.get("options") != now.options:
        changes = [_text(change) for change in option_changes(before.get("options") or {}, now.options)]
        more = len(changes) - MAX_DIFFERENCES
        differences += [*changes[:MAX_DIFFERENCES], f"{more} more"] if more > 0 else changes
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


def option_changes(before: Mapping[str, Any], now: Mapping[str, Any], path: tuple[str, ...] = ()) -> list[Change]:
    """What differs between two mappings of options, and within those that both have."""
    changes: list[Change] = []
    for key in sorted({*before, *now}):
        old, new, where = before.get(key), now.get(key), (*path, key)
        if old == new:
            continue
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            changes += option_changes(old, new, where)
        elif isinstance(old, list) and isinstance(new, list):
            changes.append(_list_change(where, old, new))
        else:
            changes.append(Change(where, is_new=old is None, is_gone=new is None))
    return changes


def _list_change(path: tuple[str, ...], old: list[Any], new: list[Any]) -> Change:
    """The items that only one of the lists has, by their names if they are objects."""
    old_names, new_names = (Counter(map(_item_name, items)) for items in (old, new))
    changed = [_item_name(item) for item in new if item not in old and _item_name(item) in old_names]
    return Change(
        path,
        added=tuple(name for name in new_names if name not in old_names),
        removed=tuple(name for name in old_names if name not in new_names),
        changed=tuple(dict.fromkeys(changed)),
        reordered=all(item in old for item in new) and all(item in new for item in old),
    )


def _item_name(item: Any) -> str:
    if isinstance(item, Mapping):
        item = next((item[key] for key in ("name", "path", "id", "mountpoint") if item.get(key)), "an item")
    return str(item)[:MAX_ITEM] if isinstance(item, str | int) else "an item"


def _text(change: Change) -> str:
    where = ".".join(("options", *change.path))
    if change.is_new or change.is_gone:
        return f"{where} {'added' if change.is_new else 'removed'}"
    signs = [
        (sign, items) for sign, items in (("+ ", change.added), ("- ", change.removed), ("", change.changed)) if items
    ]
    if change.reordered:
        return f"{where} changed: order"
    if not signs:
        return f"{where} changed"
    words = [f"{sign}{item}" for sign, items in signs for item in items]
    more = [f"{len(words) - MAX_ITEMS} more"] if len(words) > MAX_ITEMS else []
    return f"{where} changed: {', '.join([*words[:MAX_ITEMS], *more])}"
