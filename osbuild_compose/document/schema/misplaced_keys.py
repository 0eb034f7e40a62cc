"""Where in a schema a key belongs that stands somewhere else."""

from collections.abc import Mapping, Sequence
from typing import Any


def home(schema: Mapping[str, Any], key: str, trail: Sequence[str | int]) -> str:
    """In words, the one mapping that has the key, for one at the top; the top, for a key of that deeper down. "" if
    there is no such place, or several.
    """
    top: Mapping[str, Any] = schema.get("properties", {})
    at_top = not trail or (trail[0] == "profiles" and len(trail) == 2)
    if not at_top:
        return f"`{key}` is a key of the top: indent it less" if _is_usable(top.get(key)) else ""
    found = [name for name, node in top.items() if key in node.get("properties", {})]
    return f"it is a key of `{found[0]}`" if len(found) == 1 else ""


def _is_usable(node: Any) -> bool:
    return isinstance(node, dict) and "not" not in node
