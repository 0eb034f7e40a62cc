"""Generates the blueprint reference from the schema."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from osbuild_compose.document.schema import schema_files, schema_view
from osbuild_compose.document.schema.schema_view import type_names

_HEAD = """\
# Blueprint reference

<!-- Made by `make docs`: change schemas/blueprint.whole.schema.json, not this page. -->

A blueprint is one YAML document. Keys that are not on this page are errors. With the first line

    # yaml-language-server: $schema=../schemas/blueprint.schema.json

(the path is relative to the blueprint), editors complete and check keys while you type.
"""


def page() -> str:
    """The whole page in Markdown."""
    document = schema_files.load("blueprint")
    parts = [_HEAD, *_table("Keys", document)]
    for name, definition in document["definitions"].items():
        if definition.get("type") == "object":
            parts += [f"\n## {name}\n\n{definition['description']}\n", *_table("", definition, level=3)]
    return "\n".join(parts)


def _table(title: str, node: Mapping[str, Any], level: int = 2) -> Iterator[str]:
    if title:
        yield f"\n{'#' * level} {title}\n"
    required = node.get("required", node.get("requiredOnceMerged", []))
    for key, value in node["properties"].items():
        if title:  # errors refer to these headings
            yield f"### {key}\n"
        yield from _key(key, _resolved(value), key in required)
        yield from _inner_keys(key, _resolved(value))


def _inner_keys(key: str, node: Mapping[str, Any]) -> Iterator[str]:
    for inner, value in node.get("properties", {}).items():
        yield from _key(f"{key}.{inner}", _resolved(value), False)
        yield from _inner_keys(f"{key}.{inner}", _resolved(value))


def _key(key: str, node: Mapping[str, Any], required: bool) -> Iterator[str]:
    facts = [_kind(node)]
    if required:
        facts.append("required")
    if "default" in node:
        facts.append(f"default `{_flow(node['default'])}`")
    yield f"**`{key}`** ({', '.join(facts)}): {node['description']}"
    if examples := node.get("examples"):
        yield "\n".join(["", *(f"    {key.rpartition('.')[2]}: {_flow(example)}" for example in examples)])
    yield ""


def _resolved(node: Mapping[str, Any]) -> Mapping[str, Any]:
    return schema_view.resolved_refs(node, schema_files.load("blueprint"))


def _kind(node: Mapping[str, Any]) -> str:
    """The type of a node's value, in Markdown."""
    if "enum" in node:
        return "one of " + ", ".join(f"`{_flow(choice)}`" for choice in node["enum"])
    if "not" in node:
        return "refused"
    if node.get("type") == "array":
        return f"list of {_kind_of_items(node['items'])}"
    return type_names(node)


def _kind_of_items(item: Mapping[str, Any]) -> str:
    if "$ref" in item and _resolved(item).get("type") == "object":
        name = item["$ref"].rpartition("/")[2]
        return f"[{name}](#{name})"
    if item.get("then") == {"$ref": "#/definitions/format"}:
        return "formats and [output](#output)"
    if "$ref" in item.get("then", ()):
        return f"{_kind_of_items(item['else'])} or {_kind_of_items(item['then'])}"
    if "else" in item:
        return "`default` and [repository](#repository) or [rpm_repository](#rpm_repository)"
    return _kind(_resolved(item))


def _flow(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    plain = isinstance(value, str) and value.replace("-", "").replace("_", "").replace("/", "").isalpha()
    return str(value) if plain else json.dumps(value, ensure_ascii=False)
