"""compose stages, schema and completion."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from osbuild_compose.blueprint.formats import Format
from osbuild_compose.compile import module_text
from osbuild_compose.compile.module_catalog import ModuleKind, Programs
from osbuild_compose.distro import catalog
from osbuild_compose.document.schema import schema_files
from tests.integration.cli.commands import REPO, compose, fine, wrong


def test_all_programs_are_listed() -> None:
    there = {
        path.name.removesuffix(".meta.json")
        for kind in ModuleKind
        for path in (REPO / kind.directory).glob("*.meta.json")
    }
    assert {row["name"] for row in json.loads(fine("stages", "list", "--json"))} == there
    text = fine("stages")
    assert text == fine("stages", "list")
    assert text.startswith("stages:\n")
    assert "\nassemblers:\n  org.osbuild-compose.image " in text


def test_show() -> None:
    text = fine("stages", "show", "org.osbuild.users")
    assert "    * `force_password_reset` (true or false, default `false`)" in text
    assert fine("stages", "show", "users") == text
    meta = json.loads((REPO / "assemblers/org.osbuild.qemu.meta.json").read_text())
    assert json.loads(fine("stages", "show", "org.osbuild.qemu", "--json")) == meta
    wrong(compose("stages", "show", "org.osbuild.user"), "did you mean `org.osbuild.users`?")
    wrong(compose("stages", "show", "hostnam"), "did you mean `org.osbuild.hostname`?")


def test_every_option_is_on_the_page() -> None:
    programs = Programs()
    for kind in ModuleKind:
        for name in programs.names(kind):
            text = "\n".join(module_text.section(programs.find(kind, name)))
            for key, node in programs.find(kind, name).schema.get("properties", {}).items():
                assert f"`{key}` (" in text
                assert node.get("description", "") in text


def test_stages_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/my.stage.meta.json").write_text('{"summary": "Do it", "schema": {"properties": {"a": {}}}}')
    assert "  my.stage " in fine("stages", "list", "--libdir", tmp_path)
    assert "* `a` (anything)" in fine("stages", "show", "my.stage", "--libdir", tmp_path)


def test_what_a_schema_refers_to_is_shown(tmp_path: Path) -> None:
    (tmp_path / "stages").mkdir()
    definitions = {"name": {"type": "string", "description": "A name."}, "flag": {"type": "boolean"}}
    named = {"$ref": "#/definitions/name"}
    form = {"description": "With a flag.", "properties": {"flag": {"$ref": "#/definitions/flag", "default": True}}}
    properties = {
        "plain": named,
        "own": {**named, "description": "Its own words."},
        "many": {"type": "array", "items": named},
        "forms": {"oneOf": [form]},
    }
    meta = {"summary": "Do it", "schema": {"definitions": definitions, "properties": properties}}
    (tmp_path / "stages/my.stage.meta.json").write_text(json.dumps(meta))
    shown = fine("stages", "show", "my.stage", "--libdir", tmp_path)
    lines = (
        "* `plain` (text): A name.",
        "* `own` (text): Its own words.",
        "* `many` (list of text)",
        "  * With a flag.\n    * `flag` (true or false, default `true`)",
    )
    for line in lines:
        assert line in shown


def test_schema() -> None:
    assert json.loads(fine("schema")) == schema_files.published("blueprint")
    assert json.loads(fine("schema", "distro")) == schema_files.load("distro")
    for arguments in (("stage", "org.osbuild.users"), ("assembler", "org.osbuild.noop")):
        document = json.loads(fine("schema", *arguments))
        Draft7Validator.check_schema(document)
        assert document["title"] == arguments[1]
    assert json.loads(fine("schema", "stage", "users"))["title"] == "org.osbuild.users"
    wrong(compose("schema", "stage"), "which one?")
    wrong(compose("schema", "stage", "org.osbuild.hostnam"), "did you mean `org.osbuild.hostname`?")
    wrong(compose("schema", "blueprint", "x"), "takes no name")
    wrong(compose("schema", "stages"), "'stages'")


WORDS = [
    (["templ"], {"templates"}),
    (["build", "-f", "raw"], {item.value for item in Format if item.startswith("raw")}),
    (["stages", "show", "org.osbuild.host"], {"org.osbuild.hostname"}),
    (
        ["templates", "show", "debian"],
        {name for name in ("debian", *catalog.find().releases) if name.startswith("debian")},
    ),
]


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A directory with a `compose` of this checkout, to put in front of PATH."""
    file = tmp_path / "bin/compose"
    file.parent.mkdir()
    file.write_text(f'#!/bin/sh\nexec env PYTHONPATH="{REPO}" "{sys.executable}" -m osbuild_compose "$@"\n')
    file.chmod(0o755)
    return file.parent


def shell(name: str, script: str, program: Path) -> list[str]:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    environment = {"PATH": f"{program}:/usr/bin:/bin", "HOME": str(program), "TERM": "dumb"}
    done = subprocess.run([path, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(("words", "wanted"), WORDS)
def test_bash_completes(program: Path, words: list[str], wanted: set[str]) -> None:
    script = 'eval "$(compose completion bash)"; '
    script += f"COMP_WORDS=(compose {' '.join(words)}); COMP_CWORD={len(words)}; "
    # The function that was registered, called as bash calls it.
    script += 'f=$(complete -p compose | sed "s/.*-F //; s/ .*//"); $f compose; printf "%s\\n" "${COMPREPLY[@]}"'
    assert set(shell("bash", script, program)) == wanted


@pytest.mark.parametrize(("words", "wanted"), WORDS)
def test_fish_completes(program: Path, words: list[str], wanted: set[str]) -> None:
    script = f'compose completion fish | source; complete -C "compose {" ".join(words)}"'
    assert set(shell("fish", script, program)) == wanted


@pytest.mark.parametrize(("words", "wanted"), WORDS)
def test_zsh_completes(program: Path, words: list[str], wanted: set[str]) -> None:
    known = set().union(*(words for _, words in WORDS)) | {"debian-13", "build", "check", "org.osbuild.users"}
    # zsh completes on a terminal only: what its function evaluates is looked at instead.
    script = 'compdef() { f=$1; }; _arguments() { print -r -- "$@"; }; '
    script += f'eval "$(compose completion zsh)"; words=(compose {" ".join(words)}); CURRENT={len(words) + 1}; $f'
    told = " ".join(shell("zsh", script, program)).replace("\\", "")
    assert set(re.findall(r'"([\w.-]+)"', told.replace('":"', '" "'))) & known == wanted
