"""Errors a person can act on, from the output of rpm, whose exit status is 0 although scripts failed."""

import re
from collections.abc import Mapping

from stagelib.dnf import failures
from stagelib.dnf.command import Ended
from stagelib.errors import StageError

# rpm --verbose prints the name of each package as it starts with it.
DEPENDENCY = re.compile(r"^\s+(\S.*) is needed by (?:\(installed\) )?(\S+)$")
CONFLICT = re.compile(r"^\s+(\S.* (?:conflicts with|is obsoleted by) .*\S)$|^\s*(file \S+ .*conflicts.*)$")
THERE = re.compile(r"package (\S+) (?:\(which is newer than .*\) )?is already installed")


def check(done: Ended, named: Mapping[str, str]) -> None:
    """Raise StageError unless everything was installed and every script succeeded. named: the packages' names."""
    names = set(named.values())

    def installed_before(number: int) -> str:
        return next((line for line in reversed(done.lines[:number]) if line in names), "a package")

    failures.check_rpm(done.lines, str, installed_before)
    if done.status == 0:
        return
    if any(failures.NO_SPACE.search(line) for line in done.lines):
        raise StageError("no space left for the packages", "free some space where the trees are")
    if lacking := [match for line in done.lines if (match := DEPENDENCY.match(line))]:
        needs = "; ".join(f"{match[2]} needs {match[1]}" for match in lacking)
        raise StageError(f"packages are missing: {needs}", "add the packages that provide them")
    if conflicts := [match[1] or match[2] for line in done.lines if (match := CONFLICT.match(line))]:
        raise StageError(f"packages conflict: {'; '.join(conflicts)}", "remove one of them")
    if there := [match[1] for line in done.lines if (match := THERE.search(line))]:
        raise StageError(f"the tree has {', '.join(there)} already", "leave it out")
    errors = [line.removeprefix("error: ") for line in done.lines if line.startswith("error: ")]
    raise StageError(f"rpm cannot install the packages: {'; '.join(errors) or f'it ended with {done.status}'}")
