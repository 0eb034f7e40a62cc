"""From a file to a blueprint, with all that is wrong told at once."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from osbuild_compose.blueprint import warnings
from osbuild_compose.blueprint.checks import general
from osbuild_compose.blueprint.convert import convert
from osbuild_compose.blueprint.model import HOST, OWN, Blueprint
from osbuild_compose.document import doc_links, reader
from osbuild_compose.document.composition.layering import KEYS, Choices, compose, problems_of_rest
from osbuild_compose.document.node import planted
from osbuild_compose.document.reader import Document
from osbuild_compose.document.schema import schema_files
from osbuild_compose.document.suggest import nearest
from osbuild_compose.errors import DocumentError, InputError

_NOTHING = Choices()


class WrongBlueprintError(DocumentError):
    """A blueprint that can be read and is wrong. `wrong` are the keys of its top that are, also by what was meant."""

    def __init__(self, errors: Sequence[InputError], merged: Document) -> None:
        """errors is not empty."""
        super().__init__(errors)
        self._merged = merged
        self.wrong = frozenset(key for error in errors for key in _keys(error))

    def rest(self) -> Blueprint | None:
        """The blueprint without the keys that are wrong, if the others are one. Nobody wants to build that one."""
        value = self._merged.tree.value
        if not isinstance(value, dict) or not self.wrong.isdisjoint(("", "distro", *KEYS)):
            return None
        keys = {key: node for key, node in value.items() if key not in self.wrong}
        keys.setdefault("name", planted("unnamed", self._merged.tree.place))
        document = Document.of(self._merged.file, replace(self._merged.tree, value=keys))
        if schema_files.problems(document, "blueprint") or general.problems(document):
            return None
        return convert(document)


def _keys(error: InputError) -> list[str]:
    """The keys of a blueprint's top that the error is about, with what was meant; "" where that may be any."""
    steps = error.path.split(".")
    way = steps[2:] if steps[0] == "profiles" and len(steps) > 2 else steps
    if way[0] not in schema_files.load("blueprint")["properties"]:
        return [way[0], error.suggestion]
    return [way[0]]


def load(path: Path, distros: Collection[str], choices: Choices = _NOTHING) -> Blueprint:
    """The blueprint in the YAML file at `path`; `distros` are the names its `distro` may have.

    choices are what the command line says on top of the file. Raises DocumentError (or InputError when the file cannot
    be read) with the place of each error, WrongBlueprintError for a file that can be read.
    """
    try:
        source = reader.read(path)
    except reader.NotYamlError as broken:
        raise _with_rest(broken, distros) from None
    return check(source, distros, choices)


def _with_rest(broken: reader.NotYamlError, distros: Collection[str]) -> DocumentError:
    """The errors of a file that is not YAML, and what is wrong with the keys that can be read."""
    if broken.rest is None or not isinstance(broken.rest.data, dict):
        return broken
    told = {(error.location.file, error.location.line) for error in broken.errors if error.location}
    more = [*problems_of_rest(broken.rest, "blueprint"), *_unknown_distro(broken.rest, distros)]
    # A line that is wrong already may be wrong because of that in other ways, too.
    new = [error for error in more if not error.location or (error.location.file, error.location.line) not in told]
    return DocumentError([*broken.errors, *new])


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
        raise WrongBlueprintError(problems, merged)
    return replace(convert(merged), doubts=tuple(general.told(merged, warnings.problems(merged.data))))


def _unknown_distro(source: Document, distros: Collection[str]) -> list[InputError]:
    environment = source.data.get("build_environment")
    places: list[tuple[tuple[str, ...], Any, tuple[str, ...]]] = [
        (("distro",), source.data.get("distro"), tuple(distros))
    ]
    if isinstance(environment, dict):
        places.append((("build_environment", "from"), environment.get("from"), (*distros, HOST, OWN)))
    return [
        _unknown(source, trail, name, known)
        for trail, name, known in places
        if isinstance(name, str) and name not in known and not schema_files.VARIABLE.search(name)
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
