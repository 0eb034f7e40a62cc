"""Converts an osbuild or image-builder blueprint into one of ours."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osbuild_compose.blueprint import load
from osbuild_compose.document.composition.synthetic import error_trails, to_document, without
from osbuild_compose.document.node import Trail
from osbuild_compose.document.schema import schema_files
from osbuild_compose.document.suggest import nearest
from osbuild_compose.errors import ComposeError, InputError
from osbuild_compose.importing import osbuild, source, yaml_text
from osbuild_compose.importing.source import Note

_DOCUMENT = "imported"
_MAX_ROUNDS = 100


@dataclass(frozen=True)
class Imported:
    """A blueprint as YAML text, and the keys that it could not take over, each with the reason."""

    text: str
    notes: tuple[Note, ...]


def convert(path: Path, distro: str | None, releases: Collection[str]) -> Imported:
    """The blueprint in a TOML or JSON file. `distro`, one of `releases`, is used instead of the file's.

    Raises InputError for a file that is neither, or if the distribution is unknown.
    """
    data, notes = osbuild.convert(source.read(path), distro, path.stem)
    data["distro"] = _distro(data.get("distro"), list(releases), path)
    data, unknown = _known(_escaped(data))
    data, invalid = fit(data, releases)
    notes += [*unknown, *invalid]
    comments = {"repositories": "For building and in the image; `default` is the distribution's own archive."}
    head = [f"Made from {path.name} by `compose import`."]
    lines = [f"  {' '.join(f'{note.key}: {note.reason}'.split())}" for note in notes]
    foot = ["", "Not carried over:", *lines] if lines else []
    return Imported(yaml_text.pretty(data, comments, head, foot), tuple(notes))


def _distro(wanted: str | None, releases: list[str], path: Path) -> str:
    if wanted in releases:
        return str(wanted)
    if not wanted:
        raise InputError(f"{path} names no distribution", hint=f"say it, for example: --distro {max(releases)}")
    near = nearest(wanted.split(".")[0], releases)
    hint = f"say another one, for example: --distro {near}" if near else f"known are: {', '.join(sorted(releases))}"
    raise InputError(f"{path}: there is no distribution {wanted} here", hint=hint)


def _known(data: dict[str, Any]) -> tuple[dict[str, Any], list[Note]]:
    """The data with the keys of our blueprints only, and notes about the others."""
    keys = schema_files.load("blueprint")["properties"]
    notes = [Note(key, "there is no such key here yet") for key in data if key not in keys]
    return {key: value for key, value in data.items() if key in keys}, notes


def fit(data: dict[str, Any], distros: Collection[str]) -> tuple[dict[str, Any], list[Note]]:
    """The data without what our schema rejects, and a note about each value that was removed.

    Raises InputError if the name or the distribution is rejected.
    """
    notes: list[Note] = []
    for _ in range(_MAX_ROUNDS):
        document = to_document(data, _DOCUMENT)
        try:
            load.check(document, distros)
        except ComposeError as error:
            wrong = {trails[0]: item for item in error.each() if (trails := error_trails(document, item))}
            if not wrong or any(trail[0] in ("name", "distro") for trail in wrong):
                raise
            # The innermost first: what contains it may be valid without it.
            depth = max(map(len, wrong))
            inner = {trail for trail in wrong if len(trail) == depth}
            notes += [Note(_shown(trail), wrong[trail].brief) for trail in sorted(inner, key=str)]
            data = without(data, inner)
        else:
            return data, notes
    raise AssertionError("every round removes something")


def _shown(trail: Trail) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in trail).lstrip(".")


def _escaped(value: Any) -> Any:
    """`${` starts a variable in our blueprints; it has no meaning in osbuild's."""
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("${", "$${") if isinstance(value, str) else value
