"""Data as YAML in which every error can be traced back: each key and each item has a line of its own."""

import json
from collections.abc import Iterator
from typing import Any

from osbuild_compose.document import reader
from osbuild_compose.document.reader import Document
from osbuild_compose.errors import ComposeError

Trail = tuple[str | int, ...]


def flat(data: Any, name: str) -> Document:
    """The data as a document called `name`."""
    return reader.parse(("\n".join(_lines(data, "")) + "\n").encode(), name)


def meant(document: Document, error: ComposeError) -> list[Trail]:
    """The keys and items that the error may mean, the outermost first; none when it is not in the document.

    What stands first in an item stands where the item does, so there may be several.
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
    """The data without what is at these places, and without what is empty then."""

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
