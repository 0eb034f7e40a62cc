"""Ways to a value as people write them: users.0.name, users.admin.shell, files[/etc/motd].mode."""

import re

from osbuild_compose.document.node import Node, Trail
from osbuild_compose.document.schema.schema_view import Shape

_STEP = re.compile(r"(?:^|\.)([^.\[\]]+)|\.?\[([^\]]+)\]")


def steps(text: str) -> list[str]:
    """The steps of a way. Raises ValueError for what is none."""
    found: list[str] = []
    position = 0
    while position < len(text) or not found:
        match = _STEP.match(text, position)
        if match is None:
            raise ValueError(text)
        found.append(match[1] or match[2])
        position = match.end()
    return found


def position(node: Node, step: str, shape: Shape) -> int | None:
    """Which of the list's items the step means: by identity, or by its number, the first being 0; None for none."""
    for index, item in enumerate(node.value):
        known = item.child(shape.identity) if shape.identity else None
        if known is not None and str(known.value) == step:
            return index
    return int(step) if step.isascii() and step.isdecimal() and int(step) < len(node.value) else None


def trail(tree: Node, way: list[str], shape: Shape) -> Trail:
    """The way as steps into the tree; from where it leads nowhere on, the steps are as they are written."""
    found: list[str | int] = []
    node: Node | None = tree
    for step in way:
        known: str | int = step
        if node is not None and isinstance(node.value, list):
            index = position(node, step, shape)
            known = step if index is None else index
            shape = shape.item
        else:
            shape = shape.below(step)
        found.append(known)
        node = node.child(known) if node is not None else None
    return tuple(found)
