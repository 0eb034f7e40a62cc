"""Following a page of the documentation: saving what it says to save, running what it says to run."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.conftest import REPO

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SAVE = re.compile(r"[Ss]ave th(?:is|at) as `([^`]+)`")


def follow(page: Path, directory: Path) -> list[str]:
    """Do what the page says, in its order, and give back the commands that were run.

    A block is saved where the text right before or after it says; blocks of `sh` are run as a user would.
    """
    text = page.read_text()
    commands: list[str] = []
    (directory / ".bin").mkdir()
    program = directory / ".bin/compose"
    program.write_text(f'#!/bin/sh\nexec env PYTHONPATH="{REPO}" "{sys.executable}" -m osbuild_compose "$@"\n')
    program.chmod(0o755)
    (directory / ".venv").mkdir()
    (directory / ".venv/bin").symlink_to(program.parent)  # where `make image` puts it
    path = f"{program.parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "HOME": str(directory), "TERM": "dumb"}
    for match in _FENCE.finditer(text):
        before, after = text[: match.start()].rstrip().split("\n\n")[-1], text[match.end() :].lstrip().split("\n\n")[0]
        place = _SAVE.search(before) or _SAVE.match(after)
        if place:
            file = directory / place[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(match[2])
        elif match[1] == "sh":
            command = ["sh", "-e", "-c", match[2]]
            done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{match[2]}\n{done.stderr}"
            commands += match[2].splitlines()
    return commands
