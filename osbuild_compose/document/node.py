"""A YAML document as a tree of nodes that carry their source position."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from osbuild_compose.errors import Location

Step = str | int
Trail = tuple[Step, ...]  # the path to a value: ("users", 0, "name")
Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class SourceText:
    """A file and its lines; without lines, an option of the command line."""

    file: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """The position of a key or value: line and column count from 0, length is in columns."""

    source: SourceText
    line: int = 0
    column: int = 0
    length: int = 1

    @property
    def location(self) -> Location:
        """The position as messages show it, with the text of the line."""
        lines = self.source.lines
        if not lines:
            return Location(self.source.file)
        text = lines[self.line] if self.line < len(lines) else ""
        length = max(1, min(self.length, len(text) - self.column))
        return Location(self.source.file, self.line + 1, self.column + 1, text, length)


@dataclass(frozen=True, slots=True)
class Node:
    """A value. `key` is the position of its key; items of lists have none.

    `written` is a scalar as it stands in the file ("1.10" for the number 1.1); `via` lists what added the value
    here, if its position does not say that alone ("profile dev").
    """

    value: Any  # a Scalar, dict[str, Node] or list[Node]
    place: Span
    key: Span | None = None
    written: str = ""
    via: tuple[str, ...] = ()

    def child(self, step: Step) -> "Node | None":
        """The value at this key or index, if there is one."""
        if isinstance(self.value, dict):
            return self.value.get(step) if isinstance(step, str) else None
        if isinstance(self.value, list) and isinstance(step, int) and 0 <= step < len(self.value):
            item: Node = self.value[step]
            return item
        return None


def find(tree: Node, trail: Sequence[Step]) -> tuple[Node, bool]:
    """The node at the end of the trail and True, or the last one on the way to it and False."""
    node = tree
    for step in trail:
        below = node.child(step)
        if below is None:
            return node, False
        node = below
    return node, True


def plain(node: Node) -> Any:
    """The data of a tree: only dict, list, str, int, float, bool and None."""
    if isinstance(node.value, dict):
        return {key: plain(item) for key, item in node.value.items()}
    if isinstance(node.value, list):
        return [plain(item) for item in node.value]
    return node.value


def from_data(data: Any, place: Span) -> Node:
    """The tree of plain data, with every value at the same position."""
    if isinstance(data, Mapping):
        return Node({key: replace(from_data(item, place), key=place) for key, item in data.items()}, place)
    if isinstance(data, list | tuple):
        return Node([from_data(item, place) for item in data], place)
    return Node(data, place, written=str(data))


def with_origin(node: Node, via: str) -> Node:
    """The tree with `via` added to the origin of all of its values."""
    value = node.value
    if isinstance(value, dict):
        value = {key: with_origin(item, via) for key, item in value.items()}
    elif isinstance(value, list):
        value = [with_origin(item, via) for item in value]
    return replace(node, value=value, via=(*node.via, via))


def scalars(node: Node, trail: Trail = ()) -> Iterator[tuple[Trail, Node]]:
    """All values of the tree that are neither mappings nor lists, in order."""
    if isinstance(node.value, dict | list):
        items: Any = node.value.items() if isinstance(node.value, dict) else enumerate(node.value)
        for step, item in items:
            yield from scalars(item, (*trail, step))
    else:
        yield trail, node


def path_text(trail: Sequence[Step]) -> str:
    """The trail as messages and `--set` write it: users.0.name."""
    return ".".join(f"[{step}]" if isinstance(step, str) and "." in step else str(step) for step in trail)
