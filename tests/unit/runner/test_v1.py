"""Reading pipeline documents of format 1: every form that osbuild took, and every mistake with its path."""

import json
from pathlib import Path
from typing import Any

import pytest

from runner.errors import ErrorKind, RunnerError
from runner.manifest import v1
from runner.manifest.document import decode
from runner.manifest.model import BaseTree

NOOP = {"name": "org.osbuild.noop"}
EXAMPLE = Path(__file__).parent / "example-pipeline.json"


@pytest.mark.parametrize("empty", [{}, {"assembler": None}, {"stages": []}, {"build": {}}, {"build": None}])
def test_absent_and_empty_are_the_same(empty: dict[str, Any]) -> None:
    pipeline = v1.load(empty).target
    assert (pipeline.stages, pipeline.assembler, pipeline.build) == ((), None, None)
    assert (pipeline.tree_id, pipeline.output_id) == (None, None)


def test_the_example_of_the_2019_readme_loads() -> None:
    pipeline = v1.load(decode(EXAMPLE.read_bytes())).target
    assert [stage.name for stage in pipeline.stages] == [
        "org.osbuild.dnf",
        "org.osbuild.systemd",
        "org.osbuild.grub2",
    ]
    assert pipeline.tree_id
    assert pipeline.output_id


def test_missing_options_are_empty_options() -> None:
    assert v1.load({"stages": [NOOP]}) == v1.load({"stages": [{**NOOP, "options": {}}]})


def test_build_pipelines_nest() -> None:
    nested: dict[str, Any] = {"stages": [NOOP]}
    for _ in range(3):
        nested = {"build": {"pipeline": nested, "runner": "org.osbuild.linux"}, "stages": [NOOP]}
    assert len(v1.load(nested).needed()) == 4


def test_the_build_environment_goes_to_the_innermost_pipeline() -> None:
    env = {"pipeline": {"stages": [{**NOOP, "options": {"env": 1}}]}, "runner": "org.osbuild.linux"}
    manifest = v1.load({"build": {"stages": [NOOP]}, "stages": [NOOP]}, env)
    innermost, build, target = manifest.needed()
    assert (target.build, build.build) == (build.name, innermost.name)
    assert innermost.stages[0].options == {"env": 1}
    assert manifest.target.tree_id != v1.load({"build": {"stages": [NOOP]}, "stages": [NOOP]}).target.tree_id


def test_several_pipelines_are_targets_of_one_graph() -> None:
    other = {"name": "org.osbuild.noop", "options": {"one": 1}}
    sources = {"org.osbuild.files": {"urls": {"sha256:" + "0" * 64: "http://h.example/f"}}}
    pipelines = [{"name": "a", "stages": [NOOP, other]}, {"name": "a", "build": {"stages": [NOOP]}, "stages": [NOOP]}]
    manifest = v1.load({"pipelines": pipelines, "sources": sources})
    assert len(manifest.needed()) == 3
    alone = [v1.load(one).target.tree_id for one in pipelines]
    assert [manifest.pipelines[name].tree_id for name in manifest.targets] == alone
    assert v1.describe(manifest, ids=False) == {"pipelines": pipelines_described(pipelines), "sources": sources}


def pipelines_described(pipelines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The pipelines as they are described, with all that may be left out."""
    return [v1.describe(v1.load(one), ids=False) for one in pipelines]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"pipelines": []}, "pipelines: there is no pipeline"),
        ({"pipelines": {}}, "pipelines: expected a list, found an object"),
        ({"pipelines": [1]}, "pipelines[0]: expected an object, found a number"),
        ({"pipelines": [{}], "pipeline": {}}, "pipeline: unknown key"),
        ({"pipelines": [{"stages": [{"name": ""}]}]}, "pipelines[0].stages[0].name: the name of the stage is missing"),
    ],
)
def test_several_pipelines_with_mistakes(document: dict[str, Any], message: str) -> None:
    with pytest.raises(RunnerError) as caught:
        v1.load(document)
    assert caught.value.message == message


def test_base_is_the_first_stages_parent() -> None:
    base = "0" * 64
    pipeline = v1.load({"base": base, "stages": [NOOP]}).target
    assert pipeline.base == BaseTree(base)
    assert pipeline.tree_id != v1.load({"stages": [NOOP]}).target.tree_id
    assert v1.load({"base": base, "assembler": NOOP}).target.tree_id == base


@pytest.mark.parametrize(
    ("document", "message", "hint"),
    [
        ([], "pipeline: expected an object, found a list", ""),
        ({"stagse": []}, "stagse: unknown key", "did you mean `stages`?"),
        ({"pipeline": {}, "soruces": {}}, "soruces: unknown key", "did you mean `sources`?"),
        ({"stages": {}}, "stages: expected a list, found an object", ""),
        ({"stages": False}, "stages: expected a list, found true or false", ""),
        ({"build": []}, "build: expected an object, found a list", ""),
        ({"assembler": ""}, "assembler: expected an object, found text", ""),
        ({"base": ""}, "base: the id of a tree is 64 hexadecimal digits", ""),
        ({"stages": [{**NOOP, "options": []}]}, "stages[0].options: expected an object, found a list", ""),
        ({"pipeline": {}, "sources": []}, "sources: expected an object, found a list", ""),
        ({"stages": "x"}, "stages: expected a list, found text", ""),
        ({"stages": [1]}, "stages[0]: expected an object, found a number", ""),
        ({"stages": [{}]}, "stages[0].name: the name of the stage is missing", ""),
        ({"stages": [{"name": "../x"}]}, "stages[0].name: '../x' is not a name of a stage", ""),
        ({"stages": [{**NOOP, "option": {}}]}, "stages[0].option: unknown key", "did you mean `options`?"),
        ({"stages": [{**NOOP, "options": [1]}]}, "stages[0].options: expected an object, found a list", ""),
        ({"assembler": {"options": {}}}, "assembler.name: the name of the assembler is missing", ""),
        ({"base": "xyz"}, "base: the id of a tree is 64 hexadecimal digits", ""),
        ({"pipeline": {"stages": [2]}}, "pipeline.stages[0]: expected an object, found a number", ""),
        ({"build": {"stages": [3]}}, "build.stages[0]: expected an object, found a number", ""),
        (
            {"build": {"pipeline": {"stages": [3]}, "runner": "r"}},
            "build.pipeline.stages[0]: expected an object, found a number",
            "",
        ),
        ({"build": {"runner": 3}}, "build.runner: expected text, found a number", ""),
        ({"name": 3}, "name: expected text, found a number", ""),
    ],
)
def test_mistakes_are_reported_with_their_path(document: Any, message: str, hint: str) -> None:
    with pytest.raises(RunnerError) as caught:
        v1.load(document)
    assert caught.value.kind is ErrorKind.INPUT
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_key_given_twice_is_reported_with_its_path() -> None:
    with pytest.raises(RunnerError) as caught:
        decode('{"stages": [{"name": "a"}, {"name": "b", "options": {"c": 1, "c": 2}}]}')
    assert caught.value.message == "stages[1].options.c: this key is given twice"


@pytest.mark.parametrize("text", ["", "{", "[1,]", '{"a": 1, "a": 2}', b"\xff", "[" * 100_000])
def test_text_that_is_not_a_document_is_an_input_error(text: str | bytes) -> None:
    with pytest.raises(RunnerError) as caught:
        decode(text, "p.json")
    assert caught.value.kind is ErrorKind.INPUT


def test_describe_loses_nothing() -> None:
    document = {
        "name": "n",
        "base": "1" * 64,
        "build": {"pipeline": {"stages": [NOOP], "name": "b"}, "runner": "org.osbuild.linux"},
        "stages": [{**NOOP, "options": {"x": [1, {"y": None}]}}],
        "assembler": {**NOOP, "options": {"f": 1.5}},
    }

    def without_ids(value: Any) -> Any:
        if isinstance(value, dict):
            ids = ("id", "tree_id", "output_id")
            return {k: without_ids(v) for k, v in value.items() if k not in ids and v != {}}
        return [without_ids(item) for item in value] if isinstance(value, list) else value

    described = v1.describe(v1.load(document))
    assert without_ids(described) == without_ids(json.loads(json.dumps(document)))
