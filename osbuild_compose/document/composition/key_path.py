"""Paths of keys as written in `unset` and `--set`: users.0.name, users.admin.shell, files[/etc/motd].mode."""

import re

from osbuild_compose.document.node import Node, Trail
from osbuild_compose.document.schema.schema_view import SchemaView

_STEP = re.compile(r"(?:^|\.)([^.\[\]]+)|\.?\[([^\]]+)\]")


def steps(text: str) -> list[str]:
    """The steps of a path. Raises ValueError for text that is not a path."""
    found: list[str] = []
    position = 0
    while position < len(text) or not found:
        match = _STEP.match(text, position)
        if match is None:
            raise ValueError(text)
        found.append(match[1] or match[2])
        position = match.end()
    return found


def position(node: Node, step: str, view: SchemaView) -> int | None:
    """The index of the item that a step of a path means, by its identity or its position; None if there is none."""
    for index, item in enumerate(node.value):
        known = item.child(view.identity) if view.identity else None
        if known is not None and str(known.value) == step:
            return index
    return int(step) if step.isascii() and step.isdecimal() and int(step) < len(node.value) else None


def trail(tree: Node, path: list[str], view: SchemaView) -> Trail:
    """The path as a trail into the tree. Steps that lead nowhere are left as they are written."""
    found: list[str | int] = []
    node: Node | None = tree
    for step in path:
        known: str | int = step
        if node is not None and isinstance(node.value, list):
            index = position(node, step, view)
            known = step if index is None else index
            view = view.item
        else:
            view = view.below(step)
        found.append(known)
        node = node.child(known) if node is not None else None
    return tuple(found)
