"""Prints a merged document as YAML that is complete in itself, with a comment about the origin of each value."""

import json
import re
from collections.abc import Iterator
from typing import Any

from osbuild_compose.document.node import Node
from osbuild_compose.document.reader import Document
from osbuild_compose.document.schema.schema_view import SchemaView

_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./@+-]*(?: [A-Za-z0-9_./@+-]+)*")
_NOT_TEXT = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}  # to at least some YAML readers


def text(document: Document, schema: dict[str, Any]) -> str:
    """The YAML of the document, with the schema's defaults for keys that it leaves out."""
    lines = list(_mapping(document.tree, SchemaView.whole(schema), 0))
    width = min(max((len(line) for line, _ in lines if line), default=0), 60)
    return "".join(f"{line:{width}}  # {origin}\n" if origin else f"{line}\n" for line, origin in lines)


def _mapping(node: Node, view: SchemaView, depth: int) -> Iterator[tuple[str, str]]:
    """The lines, each with its origin; known keys come first, in the schema's order."""
    indent = "  " * depth
    for key in dict.fromkeys((*view.keys, *node.value)):
        head = f"{indent}{key if _is_plain(key) else _quoted(key)}:"
        if key in node.value:
            yield from _entry(head, node.value[key], view.below(key), depth + 1)
        elif (default := view.below(key).default) is not None:
            yield f"{head} {_flow(default)}", "default"


def _entry(head: str, node: Node, view: SchemaView, depth: int) -> Iterator[tuple[str, str]]:
    """The lines from a key or the dash of an item on."""
    if isinstance(node.value, dict) and node.value:
        yield head, ""
        yield from _mapping(node, view, depth)
    elif isinstance(node.value, list) and node.value:
        yield head, ""
        for item in node.value:
            yield from _item(item, view.item, depth)
    elif isinstance(node.value, str) and _is_block(node.value):
        yield f"{head} |", origin(node)
        yield from (("  " * depth + line if line else "", "") for line in _escaped(node.value).split("\n")[:-1])
    else:
        yield f"{head} {_scalar(node.value)}", origin(node)


def _item(node: Node, view: SchemaView, depth: int) -> Iterator[tuple[str, str]]:
    indent = "  " * depth
    if isinstance(node.value, dict) and node.value:
        for number, (line, place) in enumerate(_mapping(node, view, depth + 1)):
            yield (f"{indent}- {line.lstrip(' ')}" if number == 0 else line), place
    else:
        yield from _entry(f"{indent}-", node, view, depth + 1)


def origin(node: Node) -> str:
    """The origin of a value: a file and line or an option, and the profile or file that added it."""
    place = node.place.location
    where = f"{place.file}:{place.line}" if place.line else place.file
    return ", ".join(part.translate(_ONE_LINE) for part in (where, *node.via))


_ONE_LINE = dict.fromkeys((*range(32), *range(127, 160), 8232, 8233, 65279), "�")
_ONE_LINE |= dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}")


def _is_block(text: str) -> bool:
    """Whether the text can be written as a block after |, which neither drops nor escapes anything."""
    *lines, end = text.split("\n")
    return (
        bool(lines and lines[0] and lines[-1])
        and end == ""
        and not lines[0].startswith((" ", "\t"))
        and all(line.replace("\t", " ").isprintable() and not line.endswith((" ", "\t")) for line in lines)
    )


def _escaped(value: str) -> str:
    """The text as written in a blueprint, where ${ starts a variable."""
    return value.replace("${", "$${")


def _is_plain(text: str) -> bool:
    return _PLAIN.fullmatch(text) is not None and text.lower() not in _NOT_TEXT


def _scalar(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    return value if _is_plain(value) else _quoted(_escaped(value))


def _quoted(text: str) -> str:
    """The text in double quotes. YAML has JSON's escapes, except for characters beyond the basic plane."""
    return "".join(
        c if c.isprintable() else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}"
        for c in json.dumps(text, ensure_ascii=False)
    )


def _flow(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    return _scalar(value)
