"""The operators {append, remove, replace}, which change an inherited list, in the schema.

schemas/blueprint.whole.schema.json describes merged blueprints, which have plain lists only. In a file, a mapping of
operators is valid in place of every list, and the schema for editors allows it.
"""

import copy
from typing import Any

OPERATORS = APPEND, REMOVE, REPLACE = ("append", "remove", "replace")
REF = {"$ref": "#/definitions/changes"}
_NOT_INHERITED = {"extends", "unset"}  # these control inheriting


def with_changes(schema: dict[str, Any]) -> dict[str, Any]:
    """A copy of the schema that allows the operators in place of every list. A schema without them is not changed."""
    if "changes" not in schema.get("definitions", {}):
        return schema
    changed = copy.deepcopy(schema)
    _walk(changed, "")
    return changed


def is_list(node: dict[str, Any]) -> bool:
    """Whether the node of the schema is a list that may be changed by operators."""
    return REF in node.get("allOf", ())


def _walk(node: Any, name: str) -> None:
    if not isinstance(node, dict) or name in _NOT_INHERITED:
        return
    if node.get("type") == "array":
        node["type"] = ["array", "object"]
        node["allOf"] = [REF, *node.get("allOf", ())]
    if node.get("if") == {"type": "array"}:  # a value that may have another form instead
        node["if"] = {"anyOf": [node["if"], {"type": "object", "propertyNames": {"enum": [*OPERATORS]}}]}
    for keyword in ("properties", "patternProperties"):
        for key, value in node.get(keyword, {}).items():
            _walk(value, key)
    for key, value in node.get("definitions", {}).items():
        if key != "changes":
            _walk(value, key)
    for keyword in ("items", "then", "else", "additionalProperties"):
        _walk(node.get(keyword), "")
