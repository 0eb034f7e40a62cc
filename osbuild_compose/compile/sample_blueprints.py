"""Sample blueprints to check templates with: a minimal one, and one with every key that the templates support."""

from collections.abc import Callable, Mapping
from typing import Any

from osbuild_compose.document.composition.synthetic import error_trails, to_document, without
from osbuild_compose.document.reader import Document
from osbuild_compose.document.schema import schema_view
from osbuild_compose.errors import ComposeError

NAME = "sample"
# Every distribution has them. Keys mean something only with some: an ssh server, a container engine, and a firewall
# where the base system has none.
PACKAGES = ("nginx", "openssh-server", "podman", "nftables")
_INSTEAD_OF_CONTENT = ("source", "base64", "url", "sha256")


def smallest(distro: str, arch: str) -> Document:
    """A blueprint with the required keys only."""
    return to_document({"name": NAME, "distro": distro, "arch": arch}, NAME)


def everything(schema: dict[str, Any], distro: str, arch: str) -> Document:
    """A blueprint with an example for each key of the schema. They may contradict each other: see `fitting`."""
    fixed = {"name": NAME, "distro": distro, "arch": arch}
    values = ((key, _example(node, schema, key)) for key, node in schema["properties"].items() if key not in fixed)
    made = {**fixed, **{key: value for key, value in values if value is not None}}
    made["packages"] = list(PACKAGES)
    return to_document(made, NAME)


def on(document: Document, distro: str, arch: str) -> Document:
    """The same blueprint for another release."""
    return to_document({**document.data, "distro": distro, "arch": arch}, NAME)


def fitting(document: Document, attempt: Callable[[Document], object]) -> Document:
    """The largest part of the document that `attempt` accepts: values that it raises errors about are removed.

    A document is accepted if no ComposeError is raised. An error that is not located in the document is passed on.
    """
    while True:
        try:
            attempt(document)
        except ComposeError as error:
            wrong = [trails for item in error.each() if (trails := error_trails(document, item))]
            if not wrong:
                raise
            # The first key of an item is at the position of the item: such errors wait until there are no others.
            certain = {trails[0] for trails in wrong if len(trails) == 1}
            document = to_document(without(document.data, certain or {trails[0] for trails in wrong}), NAME)
        else:
            return document


def _example(node: Mapping[str, Any], schema: dict[str, Any], name: str) -> Any:
    """A value for the key `name`, from the examples of the node and its parts; None if there are none."""
    node = schema_view.resolved_refs(node, schema)
    examples = node.get("examples", [])
    if "properties" in node:
        inner = {key: _example(part, schema, key) for key, part in node["properties"].items()}
        if "path" in inner:
            inner["path"] = f"/srv/{name}"  # a different one for each key
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
