"""`compose import`: an osbuild or image-builder blueprint in our language."""

import sys
from pathlib import Path
from typing import Any

from osbuild_compose.cli.write import write_new
from osbuild_compose.distro import catalog
from osbuild_compose.document.schema import schema_files
from osbuild_compose.document.suggest import nearest
from osbuild_compose.errors import InputError
from osbuild_compose.importing import osbuild, source, text
from osbuild_compose.importing.fit import fit
from osbuild_compose.importing.source import Note


def import_blueprint(path: Path, distro: str | None, output: Path | None, *, force: bool) -> None:
    """Write our blueprint to `output` or standard output, and what is not in it to standard error.

    Raises InputError for what is no TOML or JSON, and when the distribution is not known.
    """
    releases = catalog.find().releases
    data, notes = osbuild.convert(source.read(path), distro, path.stem)
    data["distro"] = _distro(data.get("distro"), list(releases), path)
    data, known = _known(_escaped(data))
    data, refused = fit(data, releases)
    notes += [*known, *refused]
    left = [f"{note.key}: {note.reason}" for note in notes]
    comments = {"repositories": "For building and in the image; `default` is the distribution's own archive."}
    head = [f"Made from {path.name} by `compose import`."]
    foot = ["", "Not carried over:", *(f"  {' '.join(line.split())}" for line in left)] if left else []
    result = text.pretty(data, comments, head, foot)
    if output:
        write_new(output, result, force=force)
    else:
        sys.stdout.write(result)
    for line in left:
        print(f"not carried over: {line}", file=sys.stderr)


def _distro(wanted: str | None, releases: list[str], path: Path) -> str:
    if wanted in releases:
        return str(wanted)
    if not wanted:
        raise InputError(f"{path} names no distribution", hint=f"say it, for example: --distro {max(releases)}")
    near = nearest(wanted.split(".")[0], releases)
    hint = f"say another one, for example: --distro {near}" if near else f"known are: {', '.join(sorted(releases))}"
    raise InputError(f"{path}: there is no distribution {wanted} here", hint=hint)


def _known(data: dict[str, Any]) -> tuple[dict[str, Any], list[Note]]:
    """The keys that our blueprints have."""
    keys = schema_files.load("blueprint")["properties"]
    notes = [Note(key, "there is no such key here yet") for key in data if key not in keys]
    return {key: value for key, value in data.items() if key in keys}, notes


def _escaped(value: Any) -> Any:
    """`${` begins a variable in our blueprints, and nothing in osbuild's."""
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    return value.replace("${", "$${") if isinstance(value, str) else value
