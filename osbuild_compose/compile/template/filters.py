"""Filters that make the text of configuration files, for templates."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from osbuild_compose.compile.template.json_values import plain


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


def json_text(value: Any) -> str:
    """The value as JSON to read, which is YAML as well."""
    return json.dumps(plain(value), indent=2, sort_keys=True) + "\n"


def unit_word(text: str) -> str:
    """The text as one word of a command in a unit, where nothing in it means anything: systemd.service(5)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def unit_name(name: str) -> str:
    """The unit's whole name: a service where its kind is left out."""
    return name if "." in name else f"{name}.service"


def script_text(text: str) -> str:
    """The script with an interpreter: sh that stops at the first error, unless its first line names another."""
    return text if text.startswith("#!") else f"#!/bin/sh -e\n{text}"


def matches(text: str, pattern: str) -> bool:
    """Whether the whole text is of the regular expression's form."""
    return re.fullmatch(pattern, text) is not None
