"""`build_environment` in a blueprint: a real Debian of another release than this machine's, and what runs in it."""

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.integration.cli.commands import compose

HOST = Path("/usr/lib/os-release").read_text()
RELEASE = "12" if 'VERSION_ID="13"' in HOST else "13"
DISTRO = """\
inherits: debian
title: Tiny
releases:
  tiny-1: {inherits: debian-12, title: Tiny 1}
"""
TEMPLATE = """\
name: {{ blueprint.name }}
stages:
  - name: org.example.look
    options: {number: {{ blueprint.hostname or "1" }}}
assembler:
  name: org.osbuild.tar
  options: {filename: {{ image.filename }}}
"""
LOOK = r"""#!/usr/bin/python3
import json, shutil, subprocess, sys
arguments = json.load(sys.stdin)
release = dict(line.rstrip().split("=", 1) for line in open("/usr/lib/os-release"))
version = subprocess.run(["mke2fs", "-V"], capture_output=True, text=True).stderr.split()[1]
found = {"release": release["VERSION_ID"].strip('"'), "mke2fs": version, "jq": bool(shutil.which("jq"))}
open(arguments["tree"] + "/seen", "w").write(json.dumps(found))
"""
# A tool of the stage that the root gets because its meta.json says so: another name in each family.
META = {
    "summary": "Look",
    "description": ["Looks."],
    "capabilities": [],
    "network": False,
    "tools": {"jq": {"deb": "jq", "rpm": "no-such-package"}},
    "schema": {"type": "object", "properties": {"number": {"type": "string"}}},
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a distribution of one stage, which looks at what it runs in."""
    for name, text in (("distro.yaml", DISTRO), ("pipeline.yaml.j2", TEMPLATE)):
        file = tmp_path / "templates/tiny" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    stage = tmp_path / "lib/stages/org.example.look"
    stage.parent.mkdir(parents=True)
    stage.write_text(LOOK)
    stage.chmod(0o755)
    stage.with_name(f"{stage.name}.meta.json").write_text(json.dumps(META))
    return tmp_path


def run(place: Path, command: str, environment: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (place / "b.yaml").write_text(f"name: b\ndistro: tiny-1\nformats: [tar]\n{environment}")
    return compose(command, "b.yaml", "--templates", "templates", "--libdir", "lib", *arguments, cwd=place)


def seen(place: Path, environment: str, *arguments: str) -> tuple[dict[str, object], str]:
    """What the stage saw, and the progress."""
    done = run(place, "build", environment, "--store", "store", "-o", "out", *arguments)
    assert done.returncode == 0, done.stderr
    with tarfile.open(place / "out/b.tar") as archive:
        file = archive.extractfile("./seen") if "./seen" in archive.getnames() else archive.extractfile("seen")
        assert file
        return json.load(file), done.stderr


def plan(place: Path, environment: str) -> list[tuple[str, str]]:
    done = run(place, "plan", environment, "--store", "store", "--json")
    assert done.returncode == 0, done.stderr
    return [(action["kind"], action["reason"]) for action in json.loads(done.stdout)["actions"]]


def test_stages_run_with_the_programs_of_the_release(place: Path) -> None:
    other = f"build_environment: {{from: debian-{RELEASE}}}\n"
    found, told = seen(place, other)
    assert found["release"] == RELEASE
    assert found["jq"] is True
    assert "install the base" in told

    # Another image of the same environment: the tree with the programs is there.
    assert [kind for kind, _ in plan(place, other + 'hostname: "2"\n')] == ["cached", "run", "run"]
    apt, look, tar = plan(place, f"build_environment: {{from: debian-{RELEASE}, packages: [file]}}\n")
    assert (apt[0], look[0], tar[0]) == ("run", "run", "run")
    assert look[1] == "the build root changed"
    # The host is another environment, and its results are others.
    assert plan(place, "build_environment: {from: host}\n") == plan(place, "")
    assert [kind for kind, _ in plan(place, "")] == ["run", "run"]
    assert "the build root changed" in plan(place, "")[0][1]
    if shutil.which("jq") is None:
        pytest.skip("jq, the stage's tool, is not installed: what the stage sees on this machine is not compared")
    host, _ = seen(place, "")
    assert host["release"] != RELEASE
    assert host["mke2fs"] != found["mke2fs"]


def test_a_distribution_whose_template_makes_no_root(place: Path) -> None:
    done = run(place, "check", "build_environment: {from: own}\n")
    assert done.returncode == 2
    assert "b.yaml:4:27: error: tiny-1 cannot be a build environment: its template makes no build root\n" in done.stderr
    assert "block `build_root` to the template" in done.stderr
