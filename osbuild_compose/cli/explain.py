"""`compose render --explain`: which template and which lines of the blueprint made each stage."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from osbuild_compose.blueprint.formats import Format
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.compile.template.tracing import Origin
from osbuild_compose.document.node import Trail
from osbuild_compose.document.reader import Document
from osbuild_compose.project import Project
from osbuild_compose.report.style import Style

_OF_ROOT: tuple[Trail, ...] = (("build_environment", "from"), ("build_environment", "packages"), ("arch",))


def explain(project: Project, path: Path, image_format: str | None, as_json: bool) -> None:
    """Print for each stage and the assembler the template's line and the blueprint's values. Raises ComposeError."""
    blueprint = project.blueprints([path])[0]
    wanted = [Format(image_format)] if image_format else []
    document = json.loads(project.image(blueprint, wanted).pipeline)
    pipeline = document.get("pipeline", document)
    root = project.root_origins(blueprint, wanted)
    # The root is made by a blueprint of its own, whose only values that the image's has are these.
    rows = [
        _row(("build", "pipeline", *trail), replace(origin, reads=_OF_ROOT), pipeline, blueprint)
        for trail, origin in (root.programs() if root else {}).items()
    ]
    rows += [
        _row(trail, origin, pipeline, blueprint)
        for trail, origin in project.origins(blueprint, wanted).programs().items()
    ]
    if as_json:
        print(json.dumps(rows, indent=2, sort_keys=True))
        return
    style = Style.of(sys.stdout)
    print("\n\n".join("\n".join(_lines(row, style)) for row in rows))


def _row(trail: Trail, origin: Origin, pipeline: Any, blueprint: Blueprint) -> dict[str, Any]:
    item = pipeline
    for step in trail:
        item = item[step]
    around = [{"kind": site.what, "name": site.name, "file": site.file, "line": site.line} for site in origin.around]
    return {
        "name": item["name"],
        "path": list(trail),
        "template": {"file": origin.place.file, "line": origin.place.line, "in": around},
        "blueprint": list(_values(blueprint.document, origin.reads)) if blueprint.document else [],
    }


def _values(document: Document, reads: tuple[Trail, ...]) -> Iterator[dict[str, Any]]:
    """The values that were read and that the blueprint has, in its order; not what is around others that were read."""
    inner = [trail for trail in reads if not any(other[: len(trail)] == trail and other != trail for other in reads)]
    there = {present for trail in inner if (present := _present(document.data, trail))}
    places = [(document.at_key(trail), trail) for trail in there]
    for place, trail in sorted(places, key=lambda item: (item[0].file, item[0].line, item[0].column)):
        yield {"key": ".".join(map(str, trail)), "file": place.file, "line": place.line, "column": place.column}


def _present(data: Any, trail: Trail) -> Trail:
    """The trail, or the part of it that leads to a single value or a list; empty when the blueprint lacks that key."""
    for length, step in enumerate(trail):
        if isinstance(data, dict):
            if step not in data:
                return ()
            data = data[step]
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return trail[:length]
    return trail


def _lines(row: Mapping[str, Any], style: Style) -> Iterator[str]:
    yield style.bold(row["name"])
    template = row["template"]
    inside = ", ".join(f"{site['kind']} {site['name']}" for site in template["in"])
    yield f"  template   {_shown(template['file'])}:{template['line']}" + (f"  ({inside})" if inside else "")
    by_place: dict[str, list[str]] = {}
    for value in row["blueprint"]:
        place = f"{value['file']}:{value['line']}" if value["line"] else value["file"]
        by_place.setdefault(place, []).append(value["key"])
    for place, keys in by_place.items():
        yield f"  blueprint  {place}  {', '.join(keys)}"


def _shown(file: str) -> str:
    """The path as one would type it here."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file
