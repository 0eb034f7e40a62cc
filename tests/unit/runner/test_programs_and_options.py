"""Finding programs, and checking options against their schemas with messages that help."""

import json
from pathlib import Path
from typing import Any

import pytest

from runner import option_checks
from runner.errors import ErrorKind, RunnerError
from runner.manifest import v1
from runner.manifest.model import ModuleKind
from runner.plan import plan
from runner.programs import ProgramCatalog
from runner.resolve import resolve
from runner.steps import StoreState

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["names"],
    "properties": {
        "names": {"type": "array", "items": {"type": "string"}},
        "deep": {"type": "object", "additionalProperties": False, "properties": {"level": {"type": "integer"}}},
    },
}


@pytest.fixture
def libdir(tmp_path: Path) -> Path:
    program = tmp_path / "stages" / "my.stage"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    meta = {"summary": "s", "description": [], "capabilities": [], "network": False, "schema": SCHEMA}
    program.with_name("my.stage.meta.json").write_text(json.dumps(meta))
    return tmp_path


def check(libdir: Path, stage_options: Any) -> RunnerError | None:
    manifest = v1.load({"stages": [{"name": "my.stage", "options": stage_options}]})
    pipelines = resolve(manifest, ProgramCatalog([libdir]), {}, epoch=0)
    try:
        option_checks.check(plan(pipelines, StoreState()))
    except RunnerError as error:
        return error
    return None


def test_right_options_pass(libdir: Path) -> None:
    assert check(libdir, {"names": ["a"], "deep": {"level": 1}}) is None


@pytest.mark.parametrize(
    ("stage_options", "message"),
    [
        ({"nmaes": [], "names": []}, "stages[0]: my.stage: options: unknown key 'nmaes' (did you mean `names`?)"),
        ({"names": ["a", 1]}, "stages[0]: my.stage: options.names[1]: 1 is not of type 'string'"),
        (
            {"names": [], "deep": {"lvel": 1}},
            "stages[0]: my.stage: options.deep: unknown key 'lvel' (did you mean `level`?)",
        ),
        ({}, "stages[0]: my.stage: options: 'names' is a required property"),
    ],
)
def test_one_mistake_is_reported_with_its_path(libdir: Path, stage_options: Any, message: str) -> None:
    error = check(libdir, stage_options)
    assert error
    assert (error.kind, error.message) == (ErrorKind.INPUT, message)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ({"format": "ova"}, "options.outputs[0]: 'filename' is a required property"),
        ({"format": "vmdk", "filename": "a", "size": 1}, "options.outputs[0]: unknown key 'size'"),
        ({"format": "vmdk", "filename": 1}, "options.outputs[0].filename: 1 is not of type 'string'"),
        ({"format": "vdmk", "filename": "a"}, "outputs[0].format: 'vdmk' is none of raw, raw.xz, raw.zst, vdi, vmdk,"),
        ({"format": "vdmk", "filename": "a"}, " pxe (did you mean `vmdk`?)"),
    ],
)
def test_a_mistake_is_reported_for_the_alternative_that_is_meant(output: Any, message: str) -> None:
    asked = {"identity": "9f3e7a50-4d8f-4f8e-8f0a-6c6f7b1f5f10", "outputs": [output]}
    assembler = {"name": "org.osbuild-compose.image", "options": asked}
    pipelines = resolve(v1.load({"assembler": assembler}), ProgramCatalog([]), {}, epoch=0)
    with pytest.raises(RunnerError) as caught:
        option_checks.check(plan(pipelines, StoreState()))
    assert message in caught.value.message


def test_all_mistakes_are_reported_at_once(libdir: Path) -> None:
    error = check(libdir, {"names": [1, 2]})
    assert error
    assert len(error.details) == 2


def test_an_unknown_stage_of_a_build_pipeline_is_reported_with_its_path() -> None:
    manifest = v1.load({"build": {"stages": [{"name": "org.osbuild.noop"}, {"name": "org.osbuild.nop"}]}})
    with pytest.raises(RunnerError) as caught:
        resolve(manifest, ProgramCatalog([]), {}, epoch=0)
    assert caught.value.message == "build.stages[1]: there is no stage 'org.osbuild.nop'"


def test_an_unknown_stage_names_the_nearest() -> None:
    with pytest.raises(RunnerError, match=r"there is no stage 'org\.osbuild\.nop'") as caught:
        ProgramCatalog([]).find(ModuleKind.STAGE, "org.osbuild.nop")
    assert caught.value.hint == "did you mean `org.osbuild.noop`?"


def test_a_users_libdir_comes_before_the_builtin_one(libdir: Path) -> None:
    (libdir / "stages" / "my.stage").rename(libdir / "stages" / "org.osbuild.noop")
    (libdir / "stages" / "my.stage.meta.json").rename(libdir / "stages" / "org.osbuild.noop.meta.json")
    assert ProgramCatalog([libdir]).find(ModuleKind.STAGE, "org.osbuild.noop").path.parent == libdir / "stages"
    assert ProgramCatalog([libdir]).find(ModuleKind.STAGE, "org.osbuild.error").path.parent != libdir / "stages"


def test_a_directory_without_stages_is_no_libdir(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match="not a libdir"):
        ProgramCatalog([tmp_path])


def test_a_program_without_meta_json_is_an_error_that_names_the_file(libdir: Path) -> None:
    (libdir / "stages" / "my.stage.meta.json").unlink()
    with pytest.raises(RunnerError, match=r"my\.stage has no my\.stage\.meta\.json"):
        ProgramCatalog([libdir]).find(ModuleKind.STAGE, "my.stage")


@pytest.mark.parametrize("kind", list(ModuleKind))
def test_every_builtin_program_describes_itself(kind: ModuleKind) -> None:
    catalog = ProgramCatalog([])
    names = catalog.names(kind)
    assert names
    for name in names:
        program = catalog.find(kind, name)
        assert undescribed(program.schema, name) == []


def undescribed(schema: Any, path: str) -> list[str]:
    """The places of a schema that lack a description or are open without saying so."""
    found = []
    if "additionalProperties" not in schema and "properties" in schema:
        found.append(f"{path}: open")
    for key, sub in schema.get("properties", {}).items():
        if "description" not in sub and "$ref" not in sub:
            found.append(f"{path}.{key}: no description")
        found += undescribed(sub, f"{path}.{key}")
        if isinstance(sub.get("items"), dict):
            found += undescribed(sub["items"], f"{path}.{key}[]")
    return found
