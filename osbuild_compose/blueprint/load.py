"""From a file to a blueprint, with all that is wrong told at once."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from osbuild_compose.blueprint import warnings
from osbuild_compose.blueprint.checks import general
from osbuild_compose.blueprint.convert import convert
from osbuild_compose.blueprint.model import HOST, OWN, Blueprint
from osbuild_compose.document import doc_links, reader
from osbuild_compose.document.composition.layering import Choices, compose
from osbuild_compose.document.reader import Document
from osbuild_compose.document.schema import schema_files
from osbuild_compose.document.suggest import nearest
from osbuild_compose.errors import DocumentError, InputError

_NOTHING = Choices()


def load(path: Path, distros: Collection[str], choices: Choices = _NOTHING) -> Blueprint:
    """The blueprint in the YAML file at `path`; `distros` are the names its `distro` may have.

    choices are what the command line says on top of the file. Raises DocumentError (or InputError when the file cannot
    be read) with the place of each error.
    """
    return check(reader.read(path), distros, choices)


def check(source: Document, distros: Collection[str], choices: Choices = _NOTHING) -> Blueprint:
    """The blueprint in a document that was read, with all that it extends. Raises DocumentError with all that is wrong.

    The blueprint's own document is the merged one.
    """
    composed = compose(source, "blueprint", choices)
    merged = composed.document
    of_whole = [
        *schema_files.problems(merged, "blueprint"),
        *_unknown_distro(merged, distros),
        *general.problems(merged),
    ]
    problems = [
        *composed.problems,
        *(problem for problem in of_whole if str(problem.location) not in composed.unsettled),
    ]
    if problems:
        raise DocumentError(problems)
    return replace(convert(merged), doubts=tuple(general.told(merged, warnings.problems(merged.data))))


def _unknown_distro(source: Document, distros: Collection[str]) -> list[InputError]:
    environment = source.data.get("build_environment")
    places: list[tuple[tuple[str, ...], Any, tuple[str, ...]]] = [(("distro",), source.data.get("distro"), ())]
    if isinstance(environment, dict):
        places.append((("build_environment", "from"), environment.get("from"), (HOST, OWN)))
    return [
        _unknown(source, trail, name, (*distros, *others))
        for trail, name, others in places
        if isinstance(name, str)
        and name not in others
        and name not in distros
        and not schema_files.VARIABLE.search(name)
    ]


def _unknown(source: Document, trail: tuple[str, ...], name: str, known: Collection[str]) -> InputError:
    near = nearest(name, known)
    return InputError(
        f"unknown distro {name}",
        hint=f"did you mean `{near}`? " * bool(near) + "`compose distros` lists them",
        location=source.at_value(trail),
        path=".".join(trail),
        expected=f"one of: {', '.join(sorted(known))}",
        suggestion=near or "",
        reference=doc_links.of_key(trail),
    )
