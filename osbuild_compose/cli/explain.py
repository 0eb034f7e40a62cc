"""`compose render --explain`: which template and which lines of the blueprint made each stage."""

import json
import sys
from collections.abc import Iterator, Sequence

from osbuild_compose.blueprint.formats import Format
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.cli.paths import relative
from osbuild_compose.compile.explanation import StageOrigin
from osbuild_compose.project import Project
from osbuild_compose.report.style import Style


def explain(project: Project, blueprint: Blueprint, formats: Sequence[Format], as_json: bool) -> None:
    """Print for each stage and the assembler the template's line and the blueprint's values. Raises ComposeError."""
    found = project.explain(blueprint, formats)
    if as_json:
        print(json.dumps([_data(item) for item in found], indent=2, sort_keys=True))
        return
    style = Style.for_stream(sys.stdout)
    print("\n\n".join("\n".join(_lines(item, style)) for item in found))


def _data(item: StageOrigin) -> dict[str, object]:
    return {
        "name": item.name,
        "path": list(item.trail),
        "template": {"file": item.file, "line": item.line, "in": [vars(part) for part in item.within]},
        "blueprint": [
            {"key": ".".join(map(str, trail)), "file": place.file, "line": place.line, "column": place.column}
            for trail, place in item.values
        ],
    }


def _lines(item: StageOrigin, style: Style) -> Iterator[str]:
    yield style.bold(item.name)
    inside = ", ".join(f"{part.kind} {part.name}" for part in item.within)
    yield f"  template   {relative(item.file)}:{item.line}" + (f"  ({inside})" if inside else "")
    by_place: dict[str, list[str]] = {}
    for trail, place in item.values:
        where = f"{place.file}:{place.line}" if place.line else place.file
        by_place.setdefault(where, []).append(".".join(map(str, trail)))
    for where, keys in by_place.items():
        yield f"  blueprint  {where}  {', '.join(keys)}"
