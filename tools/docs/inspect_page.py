"""Generates the reference of the output of `compose inspect --json` from its schema."""

from collections.abc import Iterator
from typing import Any

from osbuild_compose.document.schema import schema_files
from osbuild_compose.document.schema.schema_view import type_names

_HEAD = """\
# What compose inspect prints as JSON

<!-- Made by `make docs`: change schemas/inspect.schema.json, not this page. -->

{description} The schema for programs is `schemas/inspect.schema.json`.
How to use it: [Inspect an image](../how-to/inspect.md). An image that cannot be read at all gives exit status 2 and
`{{"success": false, "errors": […]}}` as [other commands](errors.md) do.
"""


def page() -> str:
    """The whole page in Markdown."""
    document = schema_files.load("inspect")
    parts = [_HEAD.format(description=document["description"])]
    for key, node in document["properties"].items():
        parts.append(f"## {key}\n\n{_kind(node)}: {node['description']}\n")
        parts += _keys(node, "")
    return "\n".join(parts)


def _keys(node: dict[str, Any], prefix: str) -> Iterator[str]:
    """The keys below a node; for a list, those of its items."""
    node = node.get("items", node)
    for key, inner in node.get("properties", {}).items():
        name = f"{prefix}{key}"
        yield f"**`{name}`** ({_kind(inner)}): {inner['description']}\n"
        yield from _keys(inner, f"{name}[]." if "items" in inner else f"{name}.")


def _kind(node: dict[str, Any]) -> str:
    if "enum" in node:
        return "one of " + ", ".join("null" if choice is None else f"`{choice}`" for choice in node["enum"])
    return type_names(node)
