"""Which line of a template, and which values of the blueprint, made each stage of a pipeline."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.document.node import Trail
from osbuild_compose.document.reader import Document
from osbuild_compose.errors import Location

if TYPE_CHECKING:
    from osbuild_compose.compile.template.tracing import Origin, Origins

# The image's values that the blueprint of its build root has.
_BUILD_ROOT: tuple[Trail, ...] = (("build_environment", "from"), ("build_environment", "packages"), ("arch",))


@dataclass(frozen=True)
class TemplatePart:
    """A block or macro of a template: `kind` is "block" or "macro"; line is where it begins."""

    kind: str
    name: str
    file: str
    line: int


@dataclass(frozen=True)
class StageOrigin:
    """Where a stage or assembler comes from.

    trail leads to it in the pipeline; file and line are the template's; within are the blocks and macros around the
    line, the innermost first; values are those of the blueprint that were read for it, by their trails.
    """

    name: str
    trail: Trail
    file: str
    line: int
    within: tuple[TemplatePart, ...]
    values: tuple[tuple[Trail, Location], ...]


def of_pipeline(
    pipeline: dict[str, Any], blueprint: Blueprint, origins: "Origins", root: "Origins | None"
) -> list[StageOrigin]:
    """The origins of all stages and assemblers, those of the build root first. root is None if that is the host."""
    image = pipeline.get("pipeline", pipeline)
    found = [
        _stage(("build", "pipeline", *trail), replace(origin, reads=_BUILD_ROOT), image, blueprint)
        for trail, origin in (root.programs() if root else {}).items()
    ]
    return found + [_stage(trail, origin, image, blueprint) for trail, origin in origins.programs().items()]


def _stage(trail: Trail, origin: "Origin", pipeline: Any, blueprint: Blueprint) -> StageOrigin:
    item = pipeline
    for step in trail:
        item = item[step]
    around = tuple(TemplatePart(site.what, site.name, site.file, site.line) for site in origin.around)
    values = tuple(_values(blueprint.document, origin.reads)) if blueprint.document else ()
    return StageOrigin(item["name"], trail, origin.place.file, origin.place.line, around, values)


def _values(document: Document, reads: tuple[Trail, ...]) -> Iterator[tuple[Trail, Location]]:
    """The values that were read and that the blueprint has, in its order, without the parents of others that were."""
    inner = [trail for trail in reads if not any(other[: len(trail)] == trail and other != trail for other in reads)]
    present = {known for trail in inner if (known := _present(document.data, trail))}
    found = [(trail, document.at_key(trail)) for trail in present]
    yield from sorted(found, key=lambda item: (item[1].file, item[1].line, item[1].column))


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
