"""Filters that make the text of configuration files, for templates."""

from collections.abc import Iterable, Mapping
from typing import Any

from osbuild_compose.compile.emit import plain


def lines(values: Iterable[Any], before: str = "", after: str = "") -> str:
    """One line for each of the values, between `before` and `after`; "" for none."""
    return "".join(f"{before}{value}{after}\n" for value in values)


def pairs(values: Mapping[str, Any], separator: str = " ") -> str:
    """A line "key value" for each of the values that is set: neither None nor an empty list.

    true and false are written yes and no; of a list, each item has a line.
    """
    found: list[str] = []
    for key, value in values.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if item is not None:
                text = {True: "yes", False: "no"}[item] if isinstance(item, bool) else plain(item)
                found.append(f"{key}{separator}{text}\n")
    return "".join(found)
