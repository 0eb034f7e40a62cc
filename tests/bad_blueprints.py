"""The output of `compose check` for the blueprints in tests/bad-blueprints: NAME.txt is expected for NAME.yaml.

`python3 -m tests.bad_blueprints` prints the differences between expected and actual output; with --accept, the actual
output becomes the expected one. A comment `# arguments: ...` in the first line of a blueprint has further arguments.
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
_distributions = cache(catalog.find)  # the same for all blueprints, and slow to read


def names() -> list[str]:
    """The blueprints, without .yaml."""
    return sorted(path.stem for path in DIRECTORY.glob("*.yaml"))


def check(name: str) -> tuple[int, str]:
    """The exit status of the check, and its standard error."""
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
    """The expected standard error."""
    path = DIRECTORY / f"{name}.txt"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def differences(name: str, now: str) -> str:
    """The differences between the expected output and this one; empty if there are none."""
    before, after = (text.splitlines(keepends=True) for text in (expected(name), now))
    return "".join(difflib.unified_diff(before, after, f"{name}.txt", "now"))


def main() -> int:
    """The command line; returns 1 when there are differences."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.bad_blueprints", description=__doc__)
    parser.add_argument("--accept", action="store_true", help="expect the actual output from now on")
    accept = parser.parse_args().accept
    found = False
    for name in names():
        _, now = check(name)
        text = differences(name, now)
        sys.stdout.write(text)
        found |= bool(text)
        if accept:
            (DIRECTORY / f"{name}.txt").write_text(now, encoding="utf-8")
    return int(found and not accept)


if __name__ == "__main__":
    sys.exit(main())
