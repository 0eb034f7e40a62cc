"""Finds the template lines and blueprint values behind each part of a pipeline."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from osbuild_compose.compile.template.tracing.tracer import Mark, Part, Site, Tracer
from osbuild_compose.document.node import Trail

# How far origins are looked for: aliases can multiply nodes.
MAX_NODES = 200_000
MAX_DEPTH = 100


@dataclass(frozen=True)
class Origin:
    """Where a part of a pipeline comes from.

    place is the line of the template; around are the blocks and macros that contain it, the innermost first; reads are
    the trails of the blueprint values that were read for it.
    """

    place: Site
    around: tuple[Site, ...]
    reads: tuple[Trail, ...] = ()


@dataclass
class _Region:
    """The part of the output, from `start` to before `end`, that a template's block, macro or statement wrote."""

    site: Site | None
    start: int
    parent: "_Region | None"
    end: int = 0


@dataclass
class Origins:
    """The origins of all parts of a rendered text. `text` has no marks in it."""

    text: str
    marks: list[tuple[int, Mark]]
    _regions: list[_Region] = field(default_factory=list)  # the one that each mark is in

    @classmethod
    def from_output(cls, rendered: str, tracer: Tracer) -> "Origins":
        """The origins of the parts of the output of a template with marks."""
        found = cls(*tracer.split(rendered))
        found._regions = list(_regions(found.marks, len(found.text)))
        return found

    def at(self, position: int) -> Origin | None:
        """The origin of the character at that position, or of the last one before it that has an origin."""
        index = bisect_right([at for at, _ in self.marks], position) - 1
        while index >= 0:
            site = self.marks[index][1].site
            if site.part is Part.LINE or (site.part is Part.BEGIN and site.what == "value"):
                return Origin(site, self._around(index))
            index -= 1
        return None

    def programs(self) -> dict[Trail, Origin]:
        """The origin of each stage and assembler, by its trail in the pipeline: ("stages", 0). Empty for bad YAML."""
        starts = sorted((node.start_mark.index, trail) for trail, node in self._nodes() if _is_program(trail))
        reads: dict[Trail, dict[Trail, None]] = {trail: {} for _, trail in starts}
        for (position, mark), region in zip(self.marks, self._regions, strict=True):
            for trail in _made_by(position, region, starts) if mark.reads else ():
                reads[trail].update(dict.fromkeys(mark.reads))
        found: dict[Trail, Origin] = {}
        for position, trail in starts:
            origin = self.at(position)
            if origin:
                found[trail] = Origin(origin.place, origin.around, tuple(reads[trail]))
        return found

    def value(self, trail: Trail) -> Origin | None:
        """The origin of the value at that trail of the pipeline, or of the nearest mapping or list around it."""
        nodes = dict(self._nodes())
        while trail and trail not in nodes:
            trail = trail[:-1]
        return self.at(nodes[trail].start_mark.index) if trail in nodes else None

    def _around(self, index: int) -> tuple[Site, ...]:
        sites: list[Site] = []
        region: _Region | None = self._regions[index]
        while region:
            if region.site and region.site.what in ("block", "macro"):
                sites.append(region.site)
            region = region.parent
        return tuple(sites)

    def _nodes(self) -> Iterator[tuple[Trail, Node]]:
        try:
            root = YAML(pure=True).compose(self.text)
        except (YAMLError, ValueError, RecursionError):
            return
        if root is not None:
            yield from islice(_walk(root), MAX_NODES)


def _walk(root: Node) -> Iterator[tuple[Trail, Node]]:
    """All nodes with their trails, each before those below it."""
    todo: deque[tuple[Trail, Node]] = deque([((), root)])
    while todo:
        trail, node = todo.popleft()
        yield trail, node
        if len(trail) >= MAX_DEPTH:
            continue
        if isinstance(node, MappingNode):
            todo += [((*trail, str(key.value)), value) for key, value in node.value]
        elif isinstance(node, SequenceNode):
            todo += [((*trail, index), item) for index, item in enumerate(node.value)]


def _is_program(trail: Trail) -> bool:
    """Whether the trail leads to a stage or an assembler of a pipeline or of its build pipeline."""
    way = trail[:-1] if trail and trail[-1] == "assembler" else trail[:-2] if trail[-2:-1] == ("stages",) else None
    return way is not None and all(step in ("build", "pipeline") for step in way)


def _regions(marks: list[tuple[int, Mark]], end: int) -> Iterator[_Region]:
    region = _Region(None, 0, None, end)
    for position, mark in marks:
        if mark.site.part is Part.BEGIN:
            region = _Region(mark.site, position, region, end)
        elif mark.site.part is Part.END and region.parent and region.site and region.site.what == mark.site.what:
            region.end = position
            region = region.parent
        yield region


def _made_by(position: int, region: _Region | None, starts: list[tuple[int, Trail]]) -> list[Trail]:
    """The stages and assemblers that a value read at that position of the output went into.

    They are looked for in the innermost region that wrote any: the last one that began before the position, or else
    the next one; all of them if the region exists only because of the value, like the body of an `if`. A read in a
    block that wrote none is not attributed to those outside of it, even if an `if` is around all of them.
    """
    in_block = False
    while region and region.site and not (in_block and _is_outermost_if(region)):
        inside = [(start, trail) for start, trail in starts if region.start <= start < region.end]
        before = [trail for start, trail in inside if start < position]
        if before:
            return before[-1:]
        if inside:
            depends = region.site.what in ("if", "for", "value") and position == region.start
            return [trail for _, trail in inside[: None if depends else 1]]
        in_block = in_block or region.site.what in ("block", "macro")
        region = region.parent
    return [] if in_block else [trail for start, trail in starts if start < position][-1:]


def _is_outermost_if(region: _Region) -> bool:
    return region.site is not None and region.site.what == "if" and not (region.parent and region.parent.site)
