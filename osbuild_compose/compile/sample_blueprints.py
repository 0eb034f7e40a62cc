"""Blueprints to try a distribution's templates with: one with hardly anything, one with everything that it can do."""

from collections.abc import Callable, Mapping
from typing import Any

from osbuild_compose.document.composition.synthetic import flat, meant, without
from osbuild_compose.document.reader import Document
from osbuild_compose.document.schema import schema_refs
from osbuild_compose.errors import ComposeError

NAME = "sample"
_INSTEAD_OF_CONTENT = ("source", "base64", "url", "sha256")


def smallest(distro: str, arch: str) -> Document:
    """A blueprint with the required keys only."""
    return flat({"name": NAME, "distro": distro, "arch": arch}, NAME)


def everything(schema: dict[str, Any], distro: str, arch: str) -> Document:
    """A blueprint with an example of each key of the blueprint's schema. They need not fit together: see `fitting`."""
    fixed = {"name": NAME, "distro": distro, "arch": arch}
    values = ((key, _example(node, schema, key)) for key, node in schema["properties"].items() if key not in fixed)
    return flat({**fixed, **{key: value for key, value in values if value is not None}}, NAME)


def on(document: Document, distro: str, arch: str) -> Document:
    """The same blueprint for another release."""
    return flat({**document.data, "distro": distro, "arch": arch}, NAME)


def fitting(document: Document, attempt: Callable[[Document], object]) -> Document:
    """The largest part of the document that `attempt` accepts, going by the places of the errors that it raises.

    What raises no ComposeError is accepted. An error without a place in the document, or of a template, is raised.
    """
    while True:
        try:
            attempt(document)
        except ComposeError as error:
            wrong = [trails for item in error.each() if (trails := meant(document, item))]
            if not wrong:
                raise
            # What stands first in an item stands where the item does: such a place is left until nothing else is wrong.
            certain = {trails[0] for trails in wrong if len(trails) == 1}
            document = flat(without(document.data, certain or {trails[0] for trails in wrong}), NAME)
        else:
            return document


def _example(node: Mapping[str, Any], schema: dict[str, Any], name: str) -> Any:
    """A value for the key `name`, made of the node's own examples and those of its parts; None if it has none."""
    node = schema_refs.resolved(node, schema)
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
