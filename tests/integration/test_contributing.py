"""The recipes of CONTRIBUTING.md, each followed to the letter in a copy of the tree."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import REPO

GUIDE = REPO / "CONTRIBUTING.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SAVE = re.compile(r"[Ss]ave this as `([^`]+)`(?:, executable)?:\s*\Z")
RECIPES = [
    "A blueprint key",
    "A stage",
    "A format",
    "A derivative of a distribution",
    "A package family",
]


@dataclass(frozen=True)
class Action:
    """One block of a recipe: a file to save, an edit to apply, or commands to run."""

    kind: str
    text: str
    target: str = ""
    executable: bool = False


def actions(section: str) -> Iterator[Action]:
    """The blocks of a recipe, in its order."""
    for match in FENCE.finditer(section):
        before = section[: match.start()].rstrip()
        if place := SAVE.search(before):
            yield Action("save", match[2], place[1], executable=", executable" in place[0])
        else:
            yield Action(match[1], match[2])


def copy_of_the_tree(target: Path) -> Path:
    """The files that git tracks, and the virtual environment of this test."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPO, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        if (REPO / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPO / name, target / name)
    bin_directory = target / ".venv/bin"
    bin_directory.mkdir(parents=True)
    for stamp in (".build", ".dev", "bin/pip"):  # `make` finds the environment complete
        (target / ".venv" / stamp).touch()
    start = f'#!/bin/sh\nexec env PYTHONPATH="{target}" "{sys.executable}"'
    for name, program in {"python": "", "compose": " -m osbuild_compose", "pytest": " -m pytest"}.items():
        (bin_directory / name).write_text(f'{start}{program} "$@"\n')
        (bin_directory / name).chmod(0o755)
    return target


def follow(action: Action, tree: Path, home: Path) -> None:
    """Do what the block says, in the copy."""
    if action.kind == "save":
        path = tree / action.target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(action.text)
        path.chmod(0o755 if action.executable else 0o644)
        return
    if action.kind == "diff":
        command, given = ["patch", "--strip=1", "--no-backup-if-mismatch", "--fuzz=2"], action.text
    else:
        assert action.kind == "sh", action
        command, given = ["sh", "-e", "-c", action.text], ""
    environment = {**os.environ, "HOME": str(home), "TERM": "dumb"}
    done = subprocess.run(
        command, cwd=tree, env=environment, input=given, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, f"{action.text}\n{done.stdout}\n{done.stderr}"


def test_the_guide_has_all_recipes() -> None:
    assert re.findall(r"^### (.+)$", GUIDE.read_text(), re.MULTILINE) == RECIPES


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe(recipe: str, tmp_path: Path) -> None:
    section = GUIDE.read_text().partition(f"### {recipe}\n")[2].partition("\n### ")[0]
    tree = copy_of_the_tree(tmp_path / "tree")
    (tmp_path / "home").mkdir()
    kinds = []
    for action in actions(section):
        follow(action, tree, tmp_path / "home")
        kinds.append(action.kind)
    assert kinds[-1] == "sh", "a recipe ends with running what it added"
