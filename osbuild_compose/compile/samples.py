"""Blueprints to try a distribution's templates with: one with hardly anything, one with everything that it can do."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from osbuild_compose.compile.trace import Trail
from osbuild_compose.document import read
from osbuild_compose.document.read import Document
from osbuild_compose.errors import ComposeError

NAME = "sample"
_INSTEAD_OF_CONTENT = ("source", "base64", "url", "sha256")


def smallest(distro: str, arch: str) -> Document:
    """A blueprint with the required keys only."""
    return _document({"name": NAME, "distro": distro, "arch": arch})


def everything(schema: dict[str, Any], distro: str, arch: str) -> Document:
    """A blueprint with an example of each key of the blueprint's schema. They need not fit together: see `fitting`."""
    fixed = {"name": NAME, "distro": distro, "arch": arch}
    values = ((key, _example(node, schema, key)) for key, node in schema["properties"].items() if key not in fixed)
    return _document({**fixed, **{key: value for key, value in values if value is not None}})


def on(document: Document, distro: str, arch: str) -> Document:
    """The same blueprint for another release."""
    return _document({**document.data, "distro": distro, "arch": arch})


def fitting(document: Document, attempt: Callable[[Document], object]) -> Document:
    """The largest part of the document that `attempt` accepts, going by the places of the errors that it raises.

    What raises no ComposeError is accepted. An error without a place in the document, or of a template, is raised.
    """
    while True:
        try:
            attempt(document)
        except ComposeError as error:
            meant = [trails for item in error.each() if (trails := _trails(document, item))]
            if not meant:
                raise
            # What stands first in an item stands where the item does: such a place is left until nothing else is wrong.
            certain = {trails[0] for trails in meant if len(trails) == 1}
            document = _document(_without(document.data, certain or {trails[0] for trails in meant}))
        else:
            return document


def _document(data: Any) -> Document:
    return read.parse("\n".join(_lines(data, "")).encode(), NAME)


def _lines(data: Any, indent: str) -> Iterator[str]:
    """YAML with each key and each item in a line of its own, so that every error has a place of its own."""
    for key, value in data.items() if isinstance(data, dict) else (("-", item) for item in data):
        head = f"{indent}- " if isinstance(data, list) else f"{indent}{json.dumps(key)}: "
        if isinstance(value, dict | list) and value:
            yield head.rstrip()
            yield from _lines(value, indent + "  ")
        else:
            yield head + json.dumps(value)


def _trails(document: Document, error: ComposeError) -> list[Trail]:
    """The keys and items that the error may mean, the outermost first; none when it is not in the document."""
    place = error.location
    if place is None or place.file != NAME:
        return []
    at = (place.line, place.column)
    found = sorted((trail for trail in _below(document.data, ()) if at in _places(document, trail)), key=len)
    named = [trail for trail in found if f"{trail[-1]}`" in error.brief]
    return named[-1:] or found


def _below(data: Any, trail: Trail) -> Iterator[Trail]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, value in items:
        yield (*trail, step)
        yield from _below(value, (*trail, step))


def _places(document: Document, trail: Trail) -> list[tuple[int, int]]:
    return [(place.line, place.column) for place in (document.at_key(trail), document.at_value(trail))]


def _without(data: Any, trails: set[Trail]) -> Any:
    """The data without what is at these places, and without what is empty then."""

    def walk(value: Any, trail: Trail) -> Any:
        if isinstance(value, dict):
            kept = {key: walk(item, (*trail, key)) for key, item in value.items() if (*trail, key) not in trails}
            return {key: item for key, item in kept.items() if item not in ({}, [])}
        if isinstance(value, list):
            items = [walk(item, (*trail, at)) for at, item in enumerate(value) if (*trail, at) not in trails]
            return [item for item in items if item not in ({}, [])]
        return value

    return walk(copy.deepcopy(data), ())


def _example(node: dict[str, Any], schema: dict[str, Any], name: str) -> Any:
    """A value for the key `name`, made of the node's own examples and those of its parts; None if it has none."""
    if "$ref" in node:
        node = {**schema["definitions"][node["$ref"].rpartition("/")[2]], **node}
    examples = node.get("examples", [])
    if "properties" in node:
        inner = {key: _example(part, schema, key) for key, part in node["properties"].items()}
        if "path" in inner:
            inner["path"] = f"/srv/{name}"  # each another one
        if "content" in inner:
            inner = {key: value for key, value in inner.items() if key not in _INSTEAD_OF_CONTENT}
        return {key: value for key, value in inner.items() if value is not None} or None
    if isinstance(node.get("items"), dict):
        item = _example(node["items"], schema, name)
        items = [value for example in examples if isinstance(example, list) for value in example]
        return [*items, *([] if item is None else [item])] or None
    if examples:
        return examples[0]
    if "enum" in node:
        return node["enum"][0]
    return {"boolean": True, "integer": node.get("minimum", 1)}.get(str(node.get("type")))
