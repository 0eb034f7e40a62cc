"""What a schema says about how documents are put together.

Two keywords that JSON Schema does not know: `identity` at a list names the key by which its items are known (without
it, the one of `id`, `name` and `path` that the items' schema requires, if it does), and `beside` at a text says that it
is a path relative to the file in which it stands.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_IDENTITIES = ("id", "name", "path")


@dataclass(frozen=True)
class Shape:
    """A node of a schema and the definitions it may refer to."""

    node: Any
    definitions: Any

    @classmethod
    def of(cls, schema: dict[str, Any]) -> "Shape":
        """The shape of a whole schema."""
        return cls(schema, schema.get("definitions", {}))

    def below(self, key: str) -> "Shape":
        """The shape of what stands at a key of this mapping."""
        for node in self._variants(self.node):
            if key in node.get("properties", {}):
                return self._at(node["properties"][key])
        for node in self._variants(self.node):
            others = [*node.get("patternProperties", {}).values(), node.get("additionalProperties")]
            for other in others:
                if isinstance(other, dict):
                    return self._at(other)
        return self._at({})

    @property
    def item(self) -> "Shape":
        """The shape of this list's items."""
        return self._at(next((node["items"] for node in self._variants(self.node) if "items" in node), {}))

    @property
    def is_list(self) -> bool:
        """Whether a list stands here."""
        return any("items" in node for node in self._variants(self.node))

    @property
    def is_set(self) -> bool:
        """Whether each item may be in this list only once."""
        return any(node.get("uniqueItems") for node in self._variants(self.node))

    @property
    def is_beside(self) -> bool:
        """Whether a path relative to the file stands here."""
        return any(node.get("beside") for node in self._variants(self.node))

    @property
    def identity(self) -> str | None:
        """The key by which this list's items are known, if they are."""
        for node in self._variants(self.node):
            if "identity" in node:
                identity: str | None = node["identity"]
                return identity
        required = {key for node in self._variants(self.item.node) for key in node.get("required", ())}
        return next((key for key in _IDENTITIES if key in required), None)

    @property
    def alternatives(self) -> list[set[str]]:
        """Keys of this mapping that go together and exclude those of the others: [{content}, {url, sha256}]."""
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
        """What holds when nothing stands here; None for nothing."""
        return next((node["default"] for node in self._variants(self.node) if "default" in node), None)

    @property
    def keys(self) -> list[str]:
        """The keys of this mapping that have names."""
        return [key for node in self._variants(self.node) for key in node.get("properties", {})]

    @property
    def required(self) -> set[str]:
        """The keys that this mapping must have."""
        return {key for node in self._variants(self.node) for key in node.get("required", ())}

    def _at(self, node: Any) -> "Shape":
        return Shape(node, self.definitions)

    def _variants(self, node: Any) -> Iterator[dict[str, Any]]:
        """The node, and those it refers to or chooses between."""
        if not isinstance(node, dict):
            return
        if str(node.get("$ref", "")).startswith("#/definitions/"):
            yield node  # keywords of ours may stand beside
            yield from self._variants(self.definitions.get(node["$ref"].rpartition("/")[2]))
            return
        yield node
        for keyword in ("then", "else"):
            yield from self._variants(node.get(keyword))


def _needed(keys: Iterable[str], needs: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """The keys that must be there because the keys are."""
    return (other for key in keys for other in needs.get(key, ()))
