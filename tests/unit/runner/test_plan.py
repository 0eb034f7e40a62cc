"""Planning is a pure function: no privileges, no store on disk."""

import json
from pathlib import Path
from typing import Any

import pytest

from runner.errors import RunnerError
from runner.manifest import v1
from runner.plan import plan
from runner.programs import ProgramCatalog
from runner.resolve import base_layers, resolve
from runner.steps import ActionKind, Change, PastBuild, PastStep, PlannedPipeline, StoreState

NAME = "org.osbuild.noop"


def pipelines_of(document: dict[str, Any], bases: dict[str, tuple[str, ...]] | None = None) -> list[PlannedPipeline]:
    return resolve(v1.load(document), ProgramCatalog([]), bases or {}, epoch=0)


def document(*options: Any, assembler: bool = True, **more: Any) -> dict[str, Any]:
    stages = [{"name": NAME, "options": {"value": value}} for value in options]
    return {**more, "stages": stages, **({"assembler": {"name": NAME}} if assembler else {})}


def past(pipelines: list[PlannedPipeline], name: str = "") -> PastBuild:
    steps = [
        PastStep(step.call.name, step.key, json.loads(step.ingredients.canonical())) for step in pipelines[-1].steps
    ]
    return PastBuild(name, tuple(steps))


def kinds(pipelines: list[PlannedPipeline], state: StoreState) -> list[ActionKind]:
    return [action.kind for action in plan(pipelines, state)]


def test_everything_runs_with_an_empty_store() -> None:
    pipelines = pipelines_of(document(1, 2))
    actions = plan(pipelines, StoreState())
    assert [action.kind for action in actions] == [ActionKind.RUN] * 3
    assert actions[0].reason == "not built before"


def test_a_finished_image_needs_nothing() -> None:
    pipelines = pipelines_of(document(1, 2))
    state = StoreState(outputs=frozenset([pipelines[0].steps[-1].key]))
    assert kinds(pipelines, state) == [ActionKind.SKIP, ActionKind.SKIP, ActionKind.CACHED]


def test_what_is_in_the_store_is_not_run_again() -> None:
    pipelines = pipelines_of(document(1, 2))
    state = StoreState(layers=frozenset([pipelines[0].stages[0].key]))
    assert kinds(pipelines, state) == [ActionKind.CACHED, ActionKind.RUN, ActionKind.RUN]


def test_an_image_that_was_written_to_is_made_again_and_the_reason_says_so() -> None:
    pipelines = pipelines_of(document(1))
    state = StoreState(frozenset([pipelines[0].stages[0].key]), changed=frozenset([pipelines[0].steps[-1].key]))
    actions = plan(pipelines, state)
    assert [action.kind for action in actions] == [ActionKind.CACHED, ActionKind.RUN]
    assert actions[1].reason == "its image in the store was written to, or damaged"


def test_what_another_pipeline_of_the_run_makes_is_not_made_again() -> None:
    first, second = pipelines_of(document(1, 2)), pipelines_of(document(1, 3))
    making = {action.step.key for action in plan(first, StoreState()) if action.pending}
    actions = plan(second, StoreState(), making)
    assert [(action.kind, action.shared) for action in actions] == [
        (ActionKind.CACHED, True),
        (ActionKind.RUN, False),
        (ActionKind.RUN, False),
    ]
    assert actions[0].reason == "made for another image of this run"


def test_a_missing_layer_in_the_middle_is_made_again_and_those_above_are_kept() -> None:
    pipelines = pipelines_of(document(1, 2, 3))
    state = StoreState(layers=frozenset([pipelines[0].stages[0].key, pipelines[0].stages[2].key]))
    assert kinds(pipelines, state) == [ActionKind.CACHED, ActionKind.RUN, ActionKind.CACHED, ActionKind.RUN]


def test_a_change_runs_its_stage_and_all_after_it_with_the_reason() -> None:
    before, now = pipelines_of(document(["a"], "x", 3)), pipelines_of(document(["a"], "y", 3))
    keys = [step.key for step in before[0].stages]
    state = StoreState(frozenset(keys), frozenset(), history=[past(before)])
    actions = plan(now, state)
    assert [action.kind for action in actions] == [ActionKind.CACHED, ActionKind.RUN, ActionKind.RUN, ActionKind.RUN]
    assert [action.reason for action in actions][1:] == [
        "options.value changed",
        "follows: do nothing",
        "follows: do nothing",
    ]
    assert actions[1].changes == (Change(("value",)),)
    assert not actions[2].changes


def test_only_builds_of_the_same_name_are_compared_with() -> None:
    other, now = past(pipelines_of(document(["a", "secret"])), "hers"), pipelines_of(document(["a"]))
    (action, _) = plan(now, StoreState(history=[other]), label="mine")
    assert (action.reason, action.changes) == ("not built before", ())
    mine = past(pipelines_of(document(["a", "b"])), "mine")
    (action, _) = plan(now, StoreState(history=[other, mine]), label="mine")
    assert action.reason == "options.value changed: - b"


def test_a_build_root_is_compared_with_that_of_the_same_build() -> None:
    def built(*root: str) -> list[PlannedPipeline]:
        return pipelines_of(document(1, build={"stages": [{"name": NAME, "options": {"value": [*root]}}]}))

    before = built("a")[0]
    steps = tuple(PastStep(one.call.name, one.key, json.loads(one.ingredients.canonical())) for one in before.steps)
    state = StoreState(history=[PastBuild(before.past_name("web"), steps)])
    assert plan(built("a", "b"), state, label="web")[0].reason == "options.value changed: + b"


def test_the_time_that_a_step_is_expected_to_take() -> None:
    before, now = pipelines_of(document(1, "x")), pipelines_of(document(1, "y"))
    state = StoreState(history=[past(before)], costs={before[0].stages[1].cost_names[0]: 7.0, NAME: 2.0})
    first, second, output = plan(now, state)
    assert first.seconds is None  # nothing was recorded of a first stage
    assert second.seconds == 7.0  # with other options, in the earlier build
    assert output.seconds == 2.0  # of its program, whatever its options were
    same = StoreState(history=[past(before)], costs={now[0].stages[1].cost_names[0]: 3.0, NAME: 2.0})
    assert plan(now, same)[1].seconds == 3.0
    done = StoreState(outputs=frozenset([now[0].steps[-1].key]), costs={NAME: 2.0})
    assert {action.seconds for action in plan(now, done)} == {None}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (["a"], ["a", "nginx"], "options.value changed: + nginx"),
        (["a", "b"], ["c", "b"], "options.value changed: + c, - a"),
        (["a", "b"], ["b", "a"], "options.value changed: order"),
        ({"x": 1}, {"x": 2}, "options.value.x changed"),
        ({"x": 1}, {"y": 1}, "options.value.x removed; options.value.y added"),
        ([{"path": "/a", "v": 1}], [{"path": "/a", "v": 2}], "options.value changed: /a"),
        ([{"path": "/a"}], [{"path": "/b"}], "options.value changed: + /b, - /a"),
        ([], [*"abcdefghij"], "options.value changed: + a, + b, + c, + d, + e, + f, + g, + h, 2 more"),
        (1, [1], "options.value changed"),
        (
            {"a": 1, "b": 1, "c": 1, "d": 1},
            {},
            "options.value.a removed; options.value.b removed; options.value.c removed; 1 more",
        ),
    ],
)
def test_reasons_say_what_changed(old: Any, new: Any, reason: str) -> None:
    state = StoreState(history=[past(pipelines_of(document(old)))])
    assert plan(pipelines_of(document(new)), state)[0].reason == reason


def test_the_reason_for_an_evicted_layer() -> None:
    pipelines = pipelines_of(document(1))
    assert plan(pipelines, StoreState(history=[past(pipelines)]))[0].reason == "its result is no longer in the store"


def test_the_nearest_of_several_builds_is_compared_with() -> None:
    far, near, now = (
        pipelines_of(document(1, 2)),
        pipelines_of(document(5, ["a"])),
        pipelines_of(document(5, ["a", "b"])),
    )
    state = StoreState(history=[past(far), past(near)])
    assert plan(now, state)[1].reason == "options.value changed: + b"


def test_a_build_root_is_made_only_when_something_runs_in_it() -> None:
    build = {"stages": [{"name": NAME, "options": {"root": 1}}]}
    pipelines = pipelines_of(document(1, build=build))
    assert kinds(pipelines, StoreState()) == [ActionKind.RUN, ActionKind.RUN, ActionKind.RUN]
    done = StoreState(outputs=frozenset([pipelines[1].steps[-1].key]))
    assert kinds(pipelines, done) == [ActionKind.SKIP, ActionKind.SKIP, ActionKind.CACHED]


def test_the_build_roots_content_enters_the_keys() -> None:
    one = pipelines_of(document(1, build={"stages": [{"name": NAME, "options": {"root": 1}}]}))
    two = pipelines_of(document(1, build={"stages": [{"name": NAME, "options": {"root": 2}}]}))
    assert one[1].stages[0].key != two[1].stages[0].key


def test_an_unknown_base_is_an_input_error() -> None:
    manifest = v1.load({"base": "a" * 64, "stages": []})
    with pytest.raises(RunnerError, match="is not in the store"):
        base_layers(manifest, {})


def test_a_base_lies_below_the_first_stage() -> None:
    pipelines = pipelines_of(document(1, base="a" * 64), {"a" * 64: ("k1", "k2")})
    assert pipelines[0].stack[:2] == ("k1", "k2")
    assert pipelines[0].stages[0].ingredients.parent == "k2"


def test_a_programs_code_and_its_library_enter_the_key(tmp_path: Path) -> None:
    def key(code: str, summary: str = "s") -> str:
        stages = tmp_path / "stages"
        stages.mkdir(exist_ok=True)
        (stages / "x").write_text(code)
        (stages / "x").chmod(0o755)
        (stages / "x.meta.json").write_text(json.dumps({"summary": summary, "schema": {}}))
        return resolve(v1.load({"stages": [{"name": "x"}]}), ProgramCatalog([tmp_path]), {}, 0)[0].stages[0].key

    plain = key("print(1)")
    assert key("print(2)") != plain
    assert key("print(1)", "t") != plain
    assert key("from stagelib import api") != key("from stagelib import api, intree")
    assert key("print(1)") == plain
