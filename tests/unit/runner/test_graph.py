"""Manifests as graphs of named pipelines: what is needed, in which order, planned once; and circles."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from runner.errors import ErrorKind, RunnerError
from runner.manifest import formats, v1
from runner.manifest.identity import osbuild_id
from runner.manifest.model import BaseTree, Manifest, ModuleCall, ModuleKind, Pipeline
from runner.plan import plan
from runner.programs import ProgramCatalog
from runner.resolve import resolve
from runner.steps import Action, ActionKind, PlannedPipeline, StoreState

NAME = "org.osbuild.noop"
RUN, CACHED, SKIP = ActionKind.RUN, ActionKind.CACHED, ActionKind.SKIP


def call(kind: ModuleKind, value: Any, inputs: Mapping[str, str]) -> ModuleCall:
    options = {"value": value}
    return ModuleCall(kind, NAME, options, osbuild_id(NAME, None, None, {**options, **inputs}), inputs)


def pipeline(
    name: str,
    *values: Any,
    build: str | None = None,
    base: BaseTree | None = None,
    inputs: Mapping[str, str] | None = None,
    assembler: bool = False,
) -> Pipeline:
    """A pipeline of stages that differ in their values; the last one has the inputs."""
    stages = [call(ModuleKind.STAGE, value, {}) for value in values[:-1]]
    stages += [call(ModuleKind.STAGE, value, inputs or {}) for value in values[-1:]]
    last = call(ModuleKind.ASSEMBLER, name, {}) if assembler else None
    return Pipeline(name, tuple(stages), last, base, build)


def manifest(*pipelines: Pipeline, targets: tuple[str, ...]) -> Manifest:
    return Manifest({one.name: one for one in pipelines}, targets)


def diamond(*, targets: tuple[str, ...] = ("image",)) -> Manifest:
    """An image that is made from two trees, which share their build root by name."""
    return manifest(
        pipeline("root", "r1", "r2"),
        pipeline("tree", 1, 2, build="root"),
        pipeline("boot", 3, build="root"),
        pipeline("image", "i", build="root", inputs={"root-tree": "tree", "boot-tree": "boot"}, assembler=True),
        pipeline("spare", "s", build="root"),
        targets=targets,
    )


def resolved(made: Manifest) -> dict[str, PlannedPipeline]:
    return {one.name: one for one in resolve(made, ProgramCatalog([]), {}, epoch=0)}


def planned(made: Manifest, *args: Any, **kwargs: Any) -> list[Action]:
    return plan(list(resolved(made).values()), *args, **kwargs)


def kinds(actions: list[Action]) -> dict[str, list[ActionKind]]:
    found: dict[str, list[ActionKind]] = {}
    for action in actions:
        found.setdefault(action.step.pipeline, []).append(action.kind)
    return found


def test_a_shared_build_root_is_planned_once_and_first() -> None:
    actions = planned(diamond(), StoreState())
    assert [action.step.pipeline for action in actions] == ["root", "root", "tree", "tree", "boot", "image", "image"]
    assert {action.kind for action in actions} == {RUN}


def test_pipelines_that_no_target_needs_are_not_planned() -> None:
    assert "spare" not in resolved(diamond())
    assert list(resolved(diamond(targets=("boot",)))) == ["root", "boot"]


def test_several_targets_are_each_planned_with_what_they_need() -> None:
    actions = planned(diamond(targets=("boot", "spare")), StoreState())
    assert kinds(actions) == {"root": [RUN, RUN], "boot": [RUN], "spare": [RUN]}


def test_the_order_is_the_same_however_the_document_sorts_its_pipelines() -> None:
    made = diamond()
    backwards = Manifest(dict(reversed(made.pipelines.items())), made.targets)
    for one in (made, backwards):
        order = [found.name for found in one.needed()]
        assert order == [found.name for found in one.needed()]
        assert (order[0], order[-1]) == ("root", "image")
    keys = [{one.name: one.stack for one in resolved(found).values()} for found in (made, backwards)]
    assert keys[0] == keys[1]


def test_only_the_assemblers_of_targets_are_run() -> None:
    root = pipeline("root", "r", assembler=True)
    made = manifest(root, pipeline("tree", 1, build="root", assembler=True), targets=("tree",))
    assert [len(one.steps) for one in resolved(made).values()] == [1, 2]
    both = Manifest(made.pipelines, ("root", "tree"))
    assert [len(one.steps) for one in resolved(both).values()] == [2, 2]


def test_a_cached_image_needs_none_of_the_pipelines() -> None:
    image = resolved(diamond())["image"].assembler
    assert image
    actions = planned(diamond(), StoreState(outputs=frozenset([image.key])))
    assert kinds(actions) == {"root": [SKIP, SKIP], "tree": [SKIP, SKIP], "boot": [SKIP], "image": [SKIP, CACHED]}
    reasons = {action.step.pipeline: action.reason for action in actions[:-1]}
    assert reasons == {
        "root": "nothing has to run in this build root",
        "tree": "nothing needs its tree",
        "boot": "nothing needs its tree",
        "image": "its image is in the store",
    }


def test_a_tree_is_made_only_if_a_stage_that_reads_it_runs() -> None:
    all_of = resolved(diamond())
    state = StoreState(layers=frozenset([*all_of["image"].stack, *all_of["root"].stack]))
    # Only the assembler is to run, which reads none of the two trees.
    assert kinds(planned(diamond(), state)) == {
        "root": [CACHED, CACHED],
        "tree": [SKIP, SKIP],
        "boot": [SKIP],
        "image": [CACHED, RUN],
    }


def test_a_missing_input_is_made_again_in_its_build_root() -> None:
    all_of = resolved(diamond())
    state = StoreState(layers=frozenset([*all_of["root"].stack, *all_of["boot"].stack]))
    assert kinds(planned(diamond(), state)) == {
        "root": [CACHED, CACHED],
        "tree": [RUN, RUN],
        "boot": [CACHED],
        "image": [RUN, RUN],
    }


def test_the_trees_that_a_step_reads_enter_its_key() -> None:
    def key(**inputs: str) -> str:
        made = manifest(
            pipeline("a", 1), pipeline("b", 2), pipeline("image", "i", inputs=inputs), targets=("image", "a", "b")
        )
        return resolved(made)["image"].stages[0].key

    assert key(tree="a") == key(tree="a")
    assert len({key(), key(tree="a"), key(tree="b"), key(other="a")}) == 4


def test_a_pipeline_may_start_from_the_tree_of_another() -> None:
    below = pipeline("below", 1, 2)
    assert below.tree_id
    above = pipeline("above", 3, base=BaseTree(below.tree_id, "below"))
    made = manifest(below, above, targets=("above",))
    found = resolved(made)
    assert found["above"].base == found["below"].stack
    assert found["above"].stages[0].ingredients.parent == found["below"].stack[-1]
    assert found["above"].references == ("below",)
    assert kinds(planned(made, StoreState())) == {"below": [RUN, RUN], "above": [RUN]}
    state = StoreState(layers=frozenset(found["above"].stack[1:]))
    assert kinds(planned(made, state)) == {"below": [RUN, CACHED], "above": [CACHED]}
    empty = Pipeline("empty", (), base=BaseTree(below.tree_id, "below"))
    assert empty.tree_id == below.tree_id
    through = manifest(below, empty, pipeline("top", 4, build="empty"), targets=("top",))
    assert kinds(planned(through, StoreState())) == {"below": [RUN, RUN], "top": [RUN]}


def test_equal_steps_of_two_pipelines_are_run_once() -> None:
    made = manifest(pipeline("a", 1, 2), pipeline("b", 1, 3), targets=("a", "b"))
    actions = planned(made, StoreState())
    assert kinds(actions) == {"a": [RUN, RUN], "b": [CACHED, RUN]}
    assert (actions[2].shared, actions[2].pending) == (True, True)


def test_an_exported_tree_is_made_as_far_as_it_is_asked_for() -> None:
    all_of = resolved(diamond())
    image, wanted = all_of["image"].assembler, all_of["tree"].stages[0].call.id
    assert image
    actions = planned(diamond(), StoreState(outputs=frozenset([image.key])), exports=[wanted])
    assert kinds(actions) == {"root": [RUN, RUN], "tree": [RUN, SKIP], "boot": [SKIP], "image": [SKIP, CACHED]}


@pytest.mark.parametrize(
    ("pipelines", "circle"),
    [
        ([pipeline("a", 1, build="a")], {"a -> a"}),
        ([pipeline("a", 1, build="b"), pipeline("b", 2, build="a")], {"a -> b -> a", "b -> a -> b"}),
        (
            [
                pipeline("top", 0, build="a"),
                pipeline("a", 1, build="b"),
                pipeline("b", 2, inputs={"tree": "c"}),
                pipeline("c", 3, base=BaseTree("0" * 64, "a")),
            ],
            {"a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c"},
        ),
    ],
)
def test_a_circle_is_refused_with_its_path(pipelines: list[Pipeline], circle: set[str]) -> None:
    with pytest.raises(RunnerError) as caught:
        resolved(manifest(*pipelines, targets=(pipelines[0].name,)))
    assert caught.value.kind is ErrorKind.INPUT
    text, _, path = caught.value.message.partition(": ")
    assert text == "pipelines need each other in a circle"
    assert path in circle


def test_a_reference_to_nothing_is_an_input_error() -> None:
    with pytest.raises(RunnerError, match="pipeline a: there is no pipeline 'b', which it refers to") as caught:
        manifest(pipeline("a", 1, build="b"), targets=("a",)).needed()
    assert caught.value.kind is ErrorKind.INPUT


def test_a_long_chain_of_pipelines_is_no_problem() -> None:
    chain = [pipeline("0", 0), *(pipeline(str(n), n, build=str(n - 1)) for n in range(1, 3000))]
    assert [one.name for one in manifest(*chain, targets=("2999",)).needed()] == [str(n) for n in range(3000)]


def test_nested_pipelines_of_format_1_become_a_flat_set() -> None:
    document = {"build": {"pipeline": {"build": {"stages": [{"name": NAME}]}}}, "stages": [{"name": NAME}]}
    made = v1.load(document)
    assert list(made.pipelines) == ["build 0", "build 1", "tree"]
    assert [one.build for one in made.pipelines.values()] == [None, "build 0", "build 1"]
    assert made.targets == ("tree",)


@pytest.mark.parametrize("name", ["x", "tree", "build 0"])
def test_pipelines_of_format_1_may_have_the_same_name(name: str) -> None:
    document = {"name": name, "build": {"name": name, "build": {"name": name}}, "stages": [{"name": NAME}]}
    made = v1.load(document)
    assert len(made.pipelines) == 3
    assert [one.label for one in made.needed()] == [name] * 3
    assert v1.describe(made, ids=False)["build"]["pipeline"]["build"]["pipeline"] == {"name": name}


def test_the_version_of_a_document_chooses_the_module_that_reads_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another format is a new file beside v1.py and nothing else."""
    (tmp_path / "v7.py").write_text(
        "from runner.manifest.model import Manifest, Pipeline\n"
        "def load(document, build_env=None, sources=None):\n"
        "    return Manifest({'p': Pipeline('p', ())}, ('p',), version='7')\n"
        "def describe(manifest, *, ids=True):\n"
        "    return {'version': '7', 'ids': ids}\n"
    )
    monkeypatch.setattr(formats.package, "__path__", [*formats.package.__path__, str(tmp_path)])
    made = formats.load({"version": "7", "pipelines": []})
    assert list(made.pipelines) == ["p"]
    assert formats.describe(made, ids=False) == {"version": "7", "ids": False}
    assert formats.load({"stages": []}).version == "1"
    assert formats.load({"version": "1", "pipeline": {"stages": [{"name": NAME}]}}) == v1.load(
        {"stages": [{"name": NAME}]}
    )


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("999", "version: '999' is not a known format"),
        (1, "version: expected text, found a number"),
        ("1/../x", "version: '1/../x' is not a known format"),
    ],
)
def test_an_unknown_version_is_an_input_error(version: Any, message: str) -> None:
    with pytest.raises(RunnerError) as caught:
        formats.load({"version": version, "pipelines": []})
    assert (caught.value.kind, caught.value.message) == (ErrorKind.INPUT, message)
