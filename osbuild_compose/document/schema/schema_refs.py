"""Following a schema's references to its own definitions."""

from collections.abc import Mapping
from typing import Any


def resolved(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The node of `schema` with what it refers to; its own words come before those of the definition.

    Raises KeyError for a definition that is not there.
    """
    if "$ref" not in node:
        return node
    definition = schema["definitions"][node["$ref"].rpartition("/")[2]]
    return {**resolved(definition, schema), **{key: value for key, value in node.items() if key != "$ref"}}
