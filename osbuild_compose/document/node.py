"""A document as a tree in which every key and value knows where it comes from, whatever it was put together of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from osbuild_compose.errors import Location

Step = str | int
Trail = tuple[Step, ...]  # the way to a value: ("users", 0, "name")
Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Source:
    """A file and its lines; or, without lines, an option of the command line."""

    file: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """Where a key or value stands: line and column count from 0, length in columns."""

    source: Source
    line: int = 0
    column: int = 0
    length: int = 1

    @property
    def location(self) -> Location:
        """The same for people, with the line's text."""
        lines = self.source.lines
        if not lines:
            return Location(self.source.file)
        text = lines[self.line] if self.line < len(lines) else ""
        length = max(1, min(self.length, len(text) - self.column))
        return Location(self.source.file, self.line + 1, self.column + 1, text, length)


@dataclass(frozen=True, slots=True)
class Node:
    """A value. `key` is where the key before it stands; items of lists have none.

    `written` is a scalar as the file has it ("1.10" for the number 1.1), and `via` tells how the value got here, where
    that is not its place alone ("profile dev").
    """

    value: Any  # a Scalar, dict[str, Node] or list[Node]
    place: Span
    key: Span | None = None
    written: str = ""
    via: tuple[str, ...] = ()

    def child(self, step: Step) -> "Node | None":
        """What is below the step, if anything."""
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
    """The data of a tree: dict, list, str, int, float, bool and None only."""
    if isinstance(node.value, dict):
        return {key: plain(item) for key, item in node.value.items()}
    if isinstance(node.value, list):
        return [plain(item) for item in node.value]
    return node.value


def planted(data: Any, place: Span) -> Node:
    """The tree of plain data that all comes from one place."""
    if isinstance(data, Mapping):
        return Node({key: replace(planted(item, place), key=place) for key, item in data.items()}, place)
    if isinstance(data, list | tuple):
        return Node([planted(item, place) for item in data], place)
    return Node(data, place, written=str(data))


def marked(node: Node, via: str) -> Node:
    """The tree with one more note on how its values got here."""
    value = node.value
    if isinstance(value, dict):
        value = {key: marked(item, via) for key, item in value.items()}
    elif isinstance(value, list):
        value = [marked(item, via) for item in value]
    return replace(node, value=value, via=(*node.via, via))


def scalars(node: Node, trail: Trail = ()) -> Iterator[tuple[Trail, Node]]:
    """All values of the tree that are neither mapping nor list, in order."""
    if isinstance(node.value, dict | list):
        items: Any = node.value.items() if isinstance(node.value, dict) else enumerate(node.value)
        for step, item in items:
            yield from scalars(item, (*trail, step))
    else:
        yield trail, node


def path_text(trail: Sequence[Step]) -> str:
    """The way as messages and `--set` write it: users.0.name."""
    return ".".join(f"[{step}]" if isinstance(step, str) and "." in step else str(step) for step in trail)
