"""What `compose check` says of the blueprints in tests/bad-blueprints: NAME.yaml is told as in NAME.txt.

`python3 -m tests.bad_blueprints` prints what would be told otherwise now, as differences; with --accept it becomes what
is expected. A comment `# arguments: ...` in the first line of a blueprint has further arguments.
"""

import argparse
import contextlib
import difflib
import io
import os
import shlex
import sys
from functools import cache
from pathlib import Path
from unittest import mock

from osbuild_compose.cli import main as compose
from osbuild_compose.distro import catalog

DIRECTORY = Path(__file__).resolve().parent / "bad-blueprints"
NEED_GPG = {"value-repository-key-damaged"}
_ARGUMENTS = b"# arguments: "
_distributions = cache(catalog.find)  # they are the same for all, and reading them takes as long as all else


def names() -> list[str]:
    """The blueprints, without .yaml."""
    return sorted(path.stem for path in DIRECTORY.glob("*.yaml"))


def told(name: str) -> tuple[int, str]:
    """The exit status of the check, and all that it says on standard error."""
    first = (DIRECTORY / f"{name}.yaml").read_bytes().split(b"\n", 1)[0]
    arguments = shlex.split(first.removeprefix(_ARGUMENTS).decode()) if first.startswith(_ARGUMENTS) else []
    out = io.StringIO()
    before = Path.cwd()
    os.chdir(DIRECTORY)
    try:
        with contextlib.redirect_stderr(out), mock.patch.object(catalog, "find", _distributions):
            status = compose(["check", f"{name}.yaml", *arguments])
    finally:
        os.chdir(before)
    return status, out.getvalue()


def expected(name: str) -> str:
    """What it is to say."""
    path = DIRECTORY / f"{name}.txt"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def differences(name: str, now: str) -> str:
    """What was expected and what is told now, line by line; empty when they are the same."""
    before, after = (text.splitlines(keepends=True) for text in (expected(name), now))
    return "".join(difflib.unified_diff(before, after, f"{name}.txt", "now"))


def main() -> int:
    """The command line; returns 1 when there are differences."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.bad_blueprints", description=__doc__)
    parser.add_argument("--accept", action="store_true", help="write what is told now")
    accept = parser.parse_args().accept
    found = False
    for name in names():
        _, now = told(name)
        text = differences(name, now)
        sys.stdout.write(text)
        found |= bool(text)
        if accept:
            (DIRECTORY / f"{name}.txt").write_text(now, encoding="utf-8")
    return int(found and not accept)


if __name__ == "__main__":
    sys.exit(main())
