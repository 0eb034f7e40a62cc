"""Running the command line as a person does."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import REPO


def compose(
    *arguments: str | Path, cwd: Path | None = None, stdin: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """What the command did; without the user's own settings for mirrors."""
    return subprocess.run(
        [sys.executable, "-m", "osbuild_compose", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(REPO), "TERM": "dumb", **environment},
        cwd=cwd,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )


def fine(*arguments: str | Path, cwd: Path | None = None, stdin: str = "", **environment: str) -> str:
    """What the command, which must end well, printed to standard output."""
    done = compose(*arguments, cwd=cwd, stdin=stdin, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def wrong(done: subprocess.CompletedProcess[str], message: str) -> None:
    """Fail unless the command refused its input with this message."""
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
