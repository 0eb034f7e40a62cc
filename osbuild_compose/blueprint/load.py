"""From a file to a blueprint, with all that is wrong told at once."""

from collections.abc import Collection, Sequence
from pathlib import Path

from osbuild_compose.blueprint import checks
from osbuild_compose.blueprint.convert import convert
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.document import read, schema
from osbuild_compose.document.override import override
from osbuild_compose.document.read import Document
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.errors import DocumentError, InputError


def load(path: Path, distros: Collection[str], settings: Sequence[str] = ()) -> Blueprint:
    """The blueprint in the YAML file at `path`; `distros` are the names its `distro` may have.

    settings are "key=value" texts that replace values of the file. Raises DocumentError (or InputError when the file
    cannot be read) with the place of each error.
    """
    return check(override(read.read(path), settings), distros)


def check(source: Document, distros: Collection[str]) -> Blueprint:
    """The blueprint in a document that was read. Raises DocumentError with all that is wrong."""
    if not isinstance(source.data, dict):
        raise InputError(
            "a blueprint is a mapping: lines of the form key: value",
            hint="begin with: name: my-image",
            location=source.at_value(()),
        )
    problems = [
        *schema.problems(source, "blueprint"),
        *_unknown_distro(source, distros),
        *checks.problems(source),
    ]
    if problems:
        raise DocumentError(problems)
    return convert(source)


def _unknown_distro(source: Document, distros: Collection[str]) -> list[InputError]:
    distro = source.data.get("distro")
    if not isinstance(distro, str) or distro in distros:
        return []
    hint = did_you_mean(distro, distros)
    return [
        InputError(
            f"unknown distro {distro}; known are: {', '.join(sorted(distros))}",
            hint=hint if hint.startswith("did") else "",
            location=source.at_value(["distro"]),
        )
    ]
