"""Documents made from data, in which errors can be traced back to the data."""

import json
from collections.abc import Iterator
from typing import Any

from osbuild_compose.document import reader
from osbuild_compose.document.node import Trail
from osbuild_compose.document.reader import Document
from osbuild_compose.errors import ComposeError


def to_document(data: Any, name: str) -> Document:
    """The data as a document called `name`."""
    return reader.parse(("\n".join(_lines(data, "")) + "\n").encode(), name)


def error_trails(document: Document, error: ComposeError) -> list[Trail]:
    """The trails of the keys and items that the error may be about, outermost first; none if it is not in the document.

    There may be several, as the first key of an item is at the same position as the item.
    """
    place = error.location
    if place is None or place.file != document.file:
        return []
    found = [
        trail
        for trail in _below(document.data, ())
        for one in (document.at_key(trail), document.at_value(trail))
        if (place.line, place.column) == (one.line, one.column)
    ]
    trails = sorted(dict.fromkeys(found), key=len)
    named = [trail for trail in trails if f"{trail[-1]}`" in error.brief]
    return named[-1:] or trails


def without(data: Any, trails: set[Trail]) -> Any:
    """The data without the values at these trails, and without mappings and lists that this leaves empty."""

    def walk(value: Any, trail: Trail) -> Any:
        if isinstance(value, dict):
            kept = {key: walk(item, (*trail, key)) for key, item in value.items() if (*trail, key) not in trails}
            return {key: item for key, item in kept.items() if item not in ({}, [])}
        if isinstance(value, list):
            items = [walk(item, (*trail, at)) for at, item in enumerate(value) if (*trail, at) not in trails]
            return [item for item in items if item not in ({}, [])]
        return value

    return walk(data, ())


def _below(data: Any, trail: Trail) -> Iterator[Trail]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, value in items:
        yield (*trail, step)
        yield from _below(value, (*trail, step))


def _lines(data: Any, indent: str) -> Iterator[str]:
    for key, value in data.items() if isinstance(data, dict) else (("-", item) for item in data):
        head = f"{indent}- " if isinstance(data, list) else f"{indent}{json.dumps(key)}: "
        if isinstance(value, dict | list) and value:
            yield head.rstrip()
            yield from _lines(value, indent + "  ")
        else:
            yield head + json.dumps(value)
