"""Loads blueprints: a YAML file becomes a Blueprint, or an error with all of its problems."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from osbuild_compose.blueprint.checks import all_checks, contents, packages
from osbuild_compose.blueprint.convert import convert
from osbuild_compose.blueprint.local_files import LocalFiles
from osbuild_compose.blueprint.model import HOST, OWN, Blueprint
from osbuild_compose.disk import checks as disk_checks
from osbuild_compose.disk.checks import FirmwareOf
from osbuild_compose.document import reader
from osbuild_compose.document.composition.layering import Choices, compose
from osbuild_compose.document.other_tools import Advice, about_release
from osbuild_compose.document.reader import Document, Trail
from osbuild_compose.document.schema import schema_files
from osbuild_compose.document.suggest import did_you_mean, nearest
from osbuild_compose.problem import Problem, Severity, as_error, in_order

_NO_CHOICES = Choices()


def _any_firmware(_distro: str, _architecture: str) -> tuple[str, ...]:
    return ("bios", "uefi")


def load(
    path: Path, distros: Collection[str], choices: Choices = _NO_CHOICES, firmware: FirmwareOf = _any_firmware
) -> Blueprint:
    """The blueprint in the YAML file at `path`; `distros` are the names that its `distro` may have.

    choices are profiles, variables and values given on the command line; firmware says what the images of a
    distribution boot with. Raises InputError if the file cannot be read or has errors; error.each() are all of them,
    with their locations.
    """
    return check(reader.read(path), distros, choices, firmware)


def check(
    source: Document, distros: Collection[str], choices: Choices = _NO_CHOICES, firmware: FirmwareOf = _any_firmware
) -> Blueprint:
    """The blueprint in a document that was read, merged with everything it extends. Raises InputError as load() does.

    The blueprint's own document is the merged one.
    """
    composed = compose(source, "blueprint", choices)
    merged = composed.document
    by_schema = schema_files.problems(merged, "blueprint")
    malformed = {problem.trail for problem in by_schema}
    files = LocalFiles(merged.file)
    disk = disk_checks.examine(merged.data, files, firmware)
    checked = [*_unknown_distros(merged, distros), *all_checks.problems(merged.data, files), *disk.problems]
    checked += [*contents.problems(merged.data, disk.outputs), *packages.misread_answers(merged.tree)]
    of_whole = [*by_schema, *(problem.located(merged) for problem in checked if problem.trail not in malformed)]
    problems: list[Problem] = [
        *composed.problems,
        *(problem for problem in of_whole if str(problem.location) not in composed.unresolved),
    ]
    if errors := [problem for problem in problems if problem.severity is Severity.ERROR]:
        raise as_error(errors)
    return replace(convert(merged, disk), warnings=tuple(in_order(problems)))


def _unknown_distros(source: Document, distros: Collection[str]) -> Iterator[Problem]:
    environment = source.data.get("build_environment")
    places: list[tuple[Trail, Any, tuple[str, ...]]] = [(("distro",), source.data.get("distro"), ())]
    if isinstance(environment, dict):
        places.append((("build_environment", "from"), environment.get("from"), (HOST, OWN)))
    for trail, name, others in places:
        if not isinstance(name, str) or name in others or name in distros:
            continue
        known = (*distros, *others)
        advice = about_release(name, distros) or Advice(
            did_you_mean(name, known, otherwise=""), nearest(name, known) or ""
        )
        hint = advice.hint if not advice.hint or advice.hint.endswith("?") else f"{advice.hint};"
        yield Problem(
            trail,
            f"unknown distro {name}",
            f"{hint} `compose distros` lists them".lstrip(),
            expected=f"one of: {', '.join(sorted(known))}",
            suggestion=advice.suggestion,
        )
