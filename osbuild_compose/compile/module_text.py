"""Describes a stage or an assembler in Markdown, from its meta.json: for `compose stages show` and the reference."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from osbuild_compose.compile.module_catalog import Program
from osbuild_compose.document.schema.schema_view import resolved_refs, type_names


def section(program: Program) -> Iterator[str]:
    """The lines about one stage or assembler, in Markdown."""
    meta = program.meta
    yield f"### {program.name}\n"
    yield f"{meta.get('summary', '').rstrip('.')}.\n"
    for paragraph in meta.get("description", ()):
        yield f"{paragraph}\n"
    if meta.get("network"):
        yield "It may use the network.\n"
    if tools := meta.get("tools"):
        yield "Needs in the build root: " + ", ".join(f"`{tool}`" for tool in sorted(tools)) + ".\n"
    if description := program.schema.get("description"):
        yield f"{description}\n"
    options = list(_inside(program.schema, program.schema, ""))
    if not options:
        options = ["It has no options."]
    yield from options
    yield ""


def _inside(node: Mapping[str, Any], schema: Mapping[str, Any], indent: str) -> Iterator[str]:
    """List items for the keys of a mapping; for a list, those of its items."""
    if isinstance(node.get("items"), Mapping):
        yield from _inside(resolved_refs(node["items"], schema), schema, indent)
        return
    required = node.get("required", ())
    for key, value in node.get("properties", {}).items():
        yield from _item(f"`{key}`", resolved_refs(value, schema), schema, key in required, indent)
    for value in node.get("patternProperties", {}).values():
        yield from _item("each key", resolved_refs(value, schema), schema, False, indent)
    if isinstance(more := node.get("additionalProperties"), Mapping) and more:
        yield from _item("each key", resolved_refs(more, schema), schema, False, indent)
    for form in _alternatives(node, schema):
        if not form.get("properties"):
            continue
        if what := form.get("description"):
            yield f"{indent}* {what}"
            yield from _inside(form, schema, indent + "  ")
        else:
            yield from _inside(form, schema, indent)


def _item(name: str, node: Mapping[str, Any], schema: Mapping[str, Any], required: bool, indent: str) -> Iterator[str]:
    facts = [_kind(node, schema)]
    if required:
        facts.append("required")
    if "default" in node:
        facts.append(f"default `{json.dumps(node['default'], ensure_ascii=False)}`")
    if examples := node.get("examples"):
        facts.append("such as " + ", ".join(f"`{json.dumps(example, ensure_ascii=False)}`" for example in examples))
    yield f"{indent}* {name} ({', '.join(facts)}): {node.get('description', '')}".rstrip(": ")
    yield from _inside(node, schema, indent + "  ")


def _alternatives(node: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The alternatives of a node."""
    return [resolved_refs(form, schema) for form in [*node.get("oneOf", ()), *node.get("anyOf", ())]]


def _kind(node: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if "enum" in node:
        return "one of " + ", ".join(f"`{choice}`" for choice in node["enum"])
    if "const" in node:
        return f"`{node['const']}`"
    if isinstance(node.get("items"), Mapping) and node.get("type") == "array":
        return f"list of {_kind(resolved_refs(node['items'], schema), schema)}"
    if "type" in node:
        return type_names(node)
    forms = [_kind(form, schema) for form in _alternatives(node, schema) if form]
    return " or ".join(dict.fromkeys(forms)) or "anything"
