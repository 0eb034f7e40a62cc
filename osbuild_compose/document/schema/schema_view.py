"""A view of a schema for merging and printing documents.

Two keywords of our own: `identity` at a list names the key that identifies its items (by default, the one of `id`,
`name` and `path` that the schema of the items requires), and `localPath` at a text marks it as a path relative to the
file it is in; where it is not true but a regular expression, in a text that it matches its group `path` is one.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

_IDENTITIES = ("id", "name", "path")


@dataclass(frozen=True)
class SchemaView:
    """A node of a schema, with the definitions that it may refer to."""

    node: Any
    definitions: Any
    _below: "dict[str, SchemaView]" = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def whole(cls, schema: dict[str, Any]) -> "SchemaView":
        """The view of a whole schema."""
        return cls(schema, schema.get("definitions", {}))

    def below(self, key: str) -> "SchemaView":
        """The view of the value at a key of this mapping."""
        if key not in self._below:
            self._below[key] = self._found_below(key)
        return self._below[key]

    def _found_below(self, key: str) -> "SchemaView":
        for node in self._variants(self.node):
            if key in node.get("properties", {}):
                return self._at(node["properties"][key])
        for node in self._variants(self.node):
            others = [*node.get("patternProperties", {}).values(), node.get("additionalProperties")]
            for other in others:
                if isinstance(other, dict):
                    return self._at(other)
        return self._at({})

    @cached_property
    def item(self) -> "SchemaView":
        """The view of the items of this list."""
        return self._at(next((node["items"] for node in self._variants(self.node) if "items" in node), {}))

    @cached_property
    def is_list(self) -> bool:
        """Whether this is a list."""
        return any("items" in node for node in self._variants(self.node))

    @cached_property
    def is_mapping(self) -> bool:
        """Whether this may be a mapping."""
        return any({"patternProperties", "properties"} & node.keys() for node in self._variants(self.node))

    @cached_property
    def has_named_items(self) -> bool:
        """Whether this may be a mapping of items by names of the user's choice."""
        return any("patternProperties" in node for node in self._variants(self.node))

    @cached_property
    def is_set(self) -> bool:
        """Whether this list may have each item only once."""
        return any(node.get("uniqueItems") for node in self._variants(self.node))

    @cached_property
    def _local_paths(self) -> list[bool | str]:
        return [node["localPath"] for node in self._variants(self.node) if node.get("localPath")]

    def local_path(self, text: str) -> tuple[int, int] | None:
        """Where in this text the path is that is relative to the file it is in; None if there is none."""
        for form in self._local_paths:
            if form is True:
                return 0, len(text)
            if match := re.fullmatch(str(form), text):
                return match.span("path")
        return None

    @cached_property
    def identity(self) -> str | None:
        """The key that identifies the items of this list, if there is one."""
        for node in self._variants(self.node):
            if "identity" in node:
                identity: str | None = node["identity"]
                return identity
        required = {key for node in self._variants(self.item.node) for key in node.get("required", ())}
        return next((key for key in _IDENTITIES if key in required), None)

    @cached_property
    def alternatives(self) -> list[set[str]]:
        """Groups of keys of this mapping that exclude each other: [{content}, {url, sha256}]."""
        found: list[set[str]] = []
        for node in self._variants(self.node):
            choices = node.get("oneOf", ())
            needs = node.get("dependencies", {})
            if all("required" in choice for choice in choices):
                found += [{*choice["required"], *_needed(choice["required"], needs)} for choice in choices]
            for part in (node, *node.get("allOf", ())):
                found += [{key} for key in part.get("not", {}).get("required", ())]
        return found

    @property
    def default(self) -> Any:
        """The default value; None if there is none."""
        return next((node["default"] for node in self._variants(self.node) if "default" in node), None)

    @property
    def keys(self) -> list[str]:
        """The named keys of this mapping."""
        return [key for node in self._variants(self.node) for key in node.get("properties", {})]

    @property
    def required(self) -> set[str]:
        """The required keys of this mapping."""
        return {key for node in self._variants(self.node) for key in node.get("required", ())}

    def _at(self, node: Any) -> "SchemaView":
        return SchemaView(node, self.definitions)

    def _variants(self, node: Any) -> Iterator[dict[str, Any]]:
        """The node, and those that it refers to or chooses between."""
        if not isinstance(node, dict):
            return
        if str(node.get("$ref", "")).startswith("#/definitions/"):
            yield node  # keywords of our own may be next to the reference
            yield from self._variants(self.definitions.get(node["$ref"].rpartition("/")[2]))
            return
        yield node
        for keyword in ("then", "else"):
            yield from self._variants(node.get(keyword))


def _needed(keys: Iterable[str], needs: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """The keys that these keys depend on."""
    return (other for key in keys for other in needs.get(key, ()))


def resolved_refs(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The node of `schema` merged with the definition that it refers to; its own keywords take precedence.

    Raises KeyError for a missing definition.
    """
    if "$ref" not in node:
        return node
    definition = schema["definitions"][node["$ref"].rpartition("/")[2]]
    return {**resolved_refs(definition, schema), **{key: value for key, value in node.items() if key != "$ref"}}


_TYPE_NAMES = {"object": "mapping", "array": "list", "string": "text", "integer": "number", "boolean": "true or false"}


def type_names(node: Mapping[str, Any]) -> str:
    """The types that a node of a schema allows, in plain words."""
    types = node["type"] if isinstance(node["type"], list) else [node["type"]]
    return " or ".join(_TYPE_NAMES.get(str(name), str(name)) for name in types)
