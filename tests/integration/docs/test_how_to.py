"""How-tos do what they say, followed to the letter."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from osbuild_compose.distro import catalog
from tests.integration.cli.commands import REPO, compose, fine
from tests.integration.docs.pages import follow

HOW_TO = REPO / "docs/how-to"


def test_a_derivative(tmp_path: Path) -> None:
    if shutil.which("gpg") is None:
        pytest.skip("gpg is not installed")
    try:
        commands = follow(HOW_TO / "derivative.md", tmp_path)
    finally:  # gpg leaves its agent running
        subprocess.run(["gpgconf", "--homedir", tmp_path / ".gnupg", "--kill", "all"], check=False)
    assert any(command.startswith("compose render --explain") for command in commands)
    own = tmp_path / "my-templates"
    assert sum(len((own / "lab" / name).read_text().splitlines()) for name in ("distro.yaml", "pipeline.yaml.j2")) < 30
    assert "lab-1" in catalog.find([own]).releases
    pipeline = json.loads(fine("render", "--templates", "my-templates", "web.yaml", cwd=tmp_path))
    base = pipeline["stages"][0]["options"]
    assert "lab-tools" in base["packages"]
    assert base["repositories"][0]["url"] == "https://mirror.example/lab"
    assert any("echo Lab > /etc/issue" in str(stage["options"]) for stage in pipeline["stages"])


@pytest.mark.parametrize("page", ["templates.md", "ci.md"])
def test_others(tmp_path: Path, page: str) -> None:
    (tmp_path / "web.yaml").write_text("name: web\ndistro: debian-12\npackages: [nginx]\nhostname: web\n")
    assert follow(HOW_TO / page, tmp_path)
    if page == "templates.md":
        rendered = fine("render", "--templates", "my-templates", "web.yaml", cwd=tmp_path)
        assert "echo ready >> /etc/issue" in rendered
        assert '"vim-tiny"' in rendered


def test_the_tutorial(tmp_path: Path) -> None:
    page = REPO / "docs/tutorial.md"
    commands = follow(page, tmp_path)
    assert len(commands) == 5
    # The mistake that it makes on purpose is told as it says.
    text = (tmp_path / "hello.yaml").read_text()
    (tmp_path / "hello.yaml").write_text(text.replace("packages:", "pakages:"))
    done = compose("check", "hello.yaml", cwd=tmp_path)
    assert done.returncode == 2
    shown = [line[4:] for line in page.read_text().split("hello.yaml:3:1: error", 1)[1].split("\n\n")[0].split("\n")]
    assert [line for line in shown[1:] if line not in done.stderr] == []
    (tmp_path / "hello.yaml").write_text(text)
    # What takes minutes or another machine is tried as far as options go.
    for line in page.read_text().splitlines():
        if line.startswith("    .venv/bin/compose "):
            fine(line.split()[1], "--help")
            for option in (word for word in line.split() if word.startswith("--")):
                assert option in fine(line.split()[1], "--help")
