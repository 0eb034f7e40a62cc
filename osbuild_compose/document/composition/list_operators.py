"""Lists that change an inherited one, in the schema.

schemas/blueprint.whole.schema.json says what a list is. In a file that is put together with others it may stand as
{append, remove, replace} as well, and the schema for editors has that at every list.
"""

import copy
from typing import Any

OPERATORS = APPEND, REMOVE, REPLACE = ("append", "remove", "replace")
REF = {"$ref": "#/definitions/changes"}
_NOT_INHERITED = {"extends", "unset"}  # these are about inheriting


def with_changes(schema: dict[str, Any]) -> dict[str, Any]:
    """A copy of the schema in which every list may be a change of one. Does nothing to a schema that has that."""
    if "changes" not in schema.get("definitions", {}):
        return schema
    changed = copy.deepcopy(schema)
    _walk(changed, "")
    return changed


def is_list(node: dict[str, Any]) -> bool:
    """Whether the schema's node is a list that may be a change of one as well."""
    return REF in node.get("allOf", ())


def _walk(node: Any, name: str) -> None:
    if not isinstance(node, dict) or name in _NOT_INHERITED:
        return
    if node.get("type") == "array":
        node["type"] = ["array", "object"]
        node["allOf"] = [REF, *node.get("allOf", ())]
    for keyword in ("properties", "patternProperties"):
        for key, value in node.get(keyword, {}).items():
            _walk(value, key)
    for key, value in node.get("definitions", {}).items():
        if key != "changes":
            _walk(value, key)
    for keyword in ("items", "then", "else", "additionalProperties"):
        _walk(node.get(keyword), "")
