"""From a file to a blueprint, with all that is wrong told at once."""

from collections.abc import Collection
from pathlib import Path

from osbuild_compose.blueprint import checks
from osbuild_compose.blueprint.convert import convert
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.document import pages, read, schema
from osbuild_compose.document.compose import Choices, compose
from osbuild_compose.document.read import Document
from osbuild_compose.document.suggest import nearest
from osbuild_compose.errors import DocumentError, InputError

_NOTHING = Choices()


def load(path: Path, distros: Collection[str], choices: Choices = _NOTHING) -> Blueprint:
    """The blueprint in the YAML file at `path`; `distros` are the names its `distro` may have.

    choices are what the command line says on top of the file. Raises DocumentError (or InputError when the file cannot
    be read) with the place of each error.
    """
    return check(read.read(path), distros, choices)


def check(source: Document, distros: Collection[str], choices: Choices = _NOTHING) -> Blueprint:
    """The blueprint in a document that was read, with all that it extends. Raises DocumentError with all that is wrong.

    The blueprint's own document is the merged one.
    """
    composed = compose(source, "blueprint", choices)
    merged = composed.document
    of_whole = [*schema.problems(merged, "blueprint"), *_unknown_distro(merged, distros), *checks.problems(merged)]
    problems = [
        *composed.problems,
        *(problem for problem in of_whole if str(problem.location) not in composed.unsettled),
    ]
    if problems:
        raise DocumentError(problems)
    return convert(merged)


def _unknown_distro(source: Document, distros: Collection[str]) -> list[InputError]:
    distro = source.data.get("distro")
    if not isinstance(distro, str) or distro in distros:
        return []
    near = nearest(distro, distros)
    return [
        InputError(
            f"unknown distro {distro}",
            hint=f"did you mean `{near}`? " * bool(near) + "`compose distros` lists them",
            location=source.at_value(["distro"]),
            path="distro",
            expected=f"one of: {', '.join(sorted(distros))}",
            suggestion=near or "",
            reference=pages.of_key(["distro"]),
        )
    ]
