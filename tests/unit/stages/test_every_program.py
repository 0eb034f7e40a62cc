"""What holds for every stage and assembler, found in their directories: description, schema, form of the program."""

import ast
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from stagelib.disk import tools

from runner import titles
from runner.programs import DIRECTORIES, ProgramCatalog
from tests.conftest import REPO

LIBRARY = REPO / "stages/stagelib"
PROGRAMS = {
    f"{room}/{file.name.removesuffix('.meta.json')}": file.with_name(file.name.removesuffix(".meta.json"))
    for room in ("stages", "assemblers")
    for file in sorted((REPO / room).glob("*.meta.json"))
}
# What a program may do beyond reading and writing files, and why.
SANDBOX = ["CAP_SYS_ADMIN"]  # the tree's own programs run in a sandbox inside of the stage's
MOUNTS = ["CAP_SYS_ADMIN", "CAP_MKNOD"]  # a tree is split by mount points, and shown with labels, by mounts
CAPABILITIES = {
    "stages/org.osbuild-compose.apt": [*SANDBOX, "CAP_NET_ADMIN"],  # for the loopback of that sandbox
    "stages/org.osbuild.dnf": SANDBOX,
    "stages/org.osbuild.script": SANDBOX,
    "stages/org.osbuild-compose.script-with-network": SANDBOX,
    "stages/org.osbuild.rpm": SANDBOX,
    "stages/org.osbuild-compose.containers": MOUNTS,  # podman's storage mounts and makes devices
    "assemblers/org.osbuild-compose.image": MOUNTS,
    "assemblers/org.osbuild.qemu": MOUNTS,
}
NETWORK = {
    *("stages/org.osbuild-compose.apt", "stages/org.osbuild.dnf"),  # they download packages
    "stages/org.osbuild-compose.script-with-network",
}
# Objects with any keys: options that are only printed, and documents that are only stored.
OPEN = {"stages/org.osbuild.noop", "assemblers/org.osbuild.noop", "stages/org.osbuild-compose.provenance"}
KINDS = {"type", "enum", "const", "oneOf", "anyOf", "allOf"}

every = pytest.mark.parametrize("name", PROGRAMS)


def meta(name: str) -> dict[str, Any]:
    """What the program's meta.json says."""
    found: dict[str, Any] = json.loads(PROGRAMS[name].with_name(f"{PROGRAMS[name].name}.meta.json").read_text())
    return found


def schemas(part: Any) -> Iterator[dict[str, Any]]:
    """Every schema within a schema, itself included."""
    if isinstance(part, list):
        for item in part:
            yield from schemas(item)
    if isinstance(part, dict):
        yield part
        for key, value in part.items():
            if key in ("properties", "definitions", "patternProperties"):
                for one in value.values():
                    yield from schemas(one)
            elif key not in ("default", "const", "enum", "examples"):
                yield from schemas(value)


def imports(file: Path, library: Path) -> tuple[set[Path], set[str]]:
    """The modules of the library that a file imports, and the names of all others."""
    inside, outside = set(), set()
    for node in ast.walk(ast.parse(file.read_bytes())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{file}: imports are absolute"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            if parts[0] != library.name:
                outside.add(parts[0])
                continue
            for length in range(1, len(parts) + 1):
                path = library.joinpath(*parts[1:length])
                inside |= {one for one in (path / "__init__.py", path.with_suffix(".py")) if one.is_file()}
    return inside, outside


def test_all_programs_are_found() -> None:
    """A program without a meta.json, or the other way round, is a mistake."""
    for room in ("stages", "assemblers"):
        files = {file.name for file in (REPO / room).iterdir() if file.is_file() and file.suffix != ".json"}
        assert files == {file.name for name, file in PROGRAMS.items() if name.startswith(f"{room}/")}
    assert len(PROGRAMS) >= 36


@every
def test_it_is_described(name: str) -> None:
    found = meta(name)
    optional = {"tools", "title", "title_of_first"}
    assert set(found) - optional == {"summary", "description", "capabilities", "network", "schema"}
    assert found["summary"][0].isupper()
    assert not found["summary"].endswith(".")
    assert len(found["summary"]) <= 72
    assert all(isinstance(line, str) for line in found["description"])
    assert found["description"][-1].endswith((".", ":", "`"))


@every
def test_its_title_names_options_that_it_has(name: str) -> None:
    found = meta(name)
    for template in (found.get("title", ""), found.get("title_of_first", "")):
        for names in titles.PLACEHOLDER.findall(template):
            for option in names.split(","):
                assert option.strip().split(".")[0] in found["schema"]["properties"]


@every
def test_it_may_do_no_more_than_it_needs(name: str) -> None:
    uses_chroot = "chroot.run" in PROGRAMS[name].read_text()
    assert meta(name)["capabilities"] == CAPABILITIES.get(name, SANDBOX if uses_chroot else [])
    assert meta(name)["network"] is (name in NETWORK)


@every
def test_programs_that_it_runs_come_from_packages_that_are_known(name: str) -> None:
    for program, packages in meta(name).get("tools", {}).items():
        known = tools.PACKAGES.get(program.partition("|")[0])
        if known:
            names = packages if isinstance(packages, dict) else {"deb": packages, "rpm": packages}
            assert (names["deb"], names["rpm"]) == known


@every
def test_its_options_are_closed(name: str) -> None:
    open_parts = [
        part
        for part in schemas(meta(name)["schema"])
        if part.get("type") == "object" and part.get("additionalProperties", True) is True
    ]
    assert (open_parts != []) is (name in OPEN)


@every
def test_its_options_are_described_with_their_types(name: str) -> None:
    schema = meta(name)["schema"]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft7Validator.check_schema(schema)
    for part in schemas(schema):
        if part.get("type") != "object":
            continue  # a condition on options that are described elsewhere
        for key, option in part.get("properties", {}).items():
            target, text = option, option.get("description", "")
            while "$ref" in target:
                target = schema["definitions"][target["$ref"].rpartition("/")[2]]
                text = text or target.get("description", "")
            assert text[:1] != "", f"{key} is not described"
            assert text.endswith("."), f"{key}: {text}"
            assert KINDS & target.keys(), f"{key} has no type"


@every
def test_it_is_a_program_for_the_systems_python(name: str) -> None:
    text = PROGRAMS[name].read_text()
    assert os.access(PROGRAMS[name], os.X_OK)
    assert text.startswith('#!/usr/bin/python3\n"""')
    run = "run_stage" if name.startswith("stages/") else "run_assembler"
    assert text.endswith(f'if __name__ == "__main__":\n    sys.exit(api.{run}(main))\n')
    main = next(node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name == "main")
    parameters = [argument.arg.lstrip("_") for argument in main.args.args]
    assert parameters == ["tree", "options", *([] if name.startswith("stages/") else ["output_dir", "secrets"])]
    assert ast.get_docstring(main)


@every
def test_it_imports_only_the_standard_library_and_stagelib(name: str) -> None:
    assert imports(PROGRAMS[name], LIBRARY)[1] <= sys.stdlib_module_names


def test_stagelib_imports_only_the_standard_library_and_itself() -> None:
    for file in LIBRARY.rglob("*.py"):
        assert imports(file, LIBRARY)[1] <= sys.stdlib_module_names, file
        assert ast.get_docstring(ast.parse(file.read_bytes())), file


def test_every_module_of_stagelib_is_imported_by_some_program() -> None:
    """What nothing imports is in no digest, and a change of it would be a wrong hit in the cache."""
    todo = set(PROGRAMS.values())
    reached: set[Path] = set()
    while todo:
        reached |= todo
        todo = {file for one in todo for file in imports(one, LIBRARY)[0]} - reached
    assert set(LIBRARY.rglob("*.py")) - reached == set()


@pytest.mark.parametrize("module", ["apt/dpkg_wrapper.py", "tree_paths.py", "apt/deb.py"])
def test_a_change_of_a_module_changes_the_digest_of_the_programs_that_import_it(tmp_path: Path, module: str) -> None:
    (kind,) = (kind for kind, directory in DIRECTORIES.items() if directory == "stages")
    for room in ("stages", "assemblers"):
        shutil.copytree(REPO / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    before = ProgramCatalog([tmp_path]).find(kind, "org.osbuild-compose.apt").digest
    with (tmp_path / "stages/stagelib" / module).open("a") as file:
        file.write("# changed\n")
    after = ProgramCatalog([tmp_path]).find(kind, "org.osbuild-compose.apt").digest
    assert before != after
