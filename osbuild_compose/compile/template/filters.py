"""The filters of templates, and how values are written into the output."""

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any

from jinja2 import Undefined
from markupsafe import Markup

from osbuild_compose.blueprint.values import addresses

# YAML allows fewer characters than JSON and has more line ends; characters beyond the BMP have another escape.
_NOT_PLAIN = re.compile(r"[^\x20-\x7e]")


def plain(value: Any) -> Any:
    """The value in the types of JSON: dataclasses become mappings, enums their values, tuples lists.

    Raises TypeError for other values (objects, functions).
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value) if field.repr}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [plain(item) for item in value]
    raise TypeError(f"a {type(value).__name__} cannot be in a pipeline")


def emit(value: Any) -> Any:
    """What Jinja writes for `{{ value }}`: JSON, which is YAML too, so that no text can break out of its value.

    An undefined value is left to Jinja to report; the output of a block or macro is written unchanged.
    """
    if isinstance(value, Undefined | Markup):
        return value
    json_text = _NOT_PLAIN.sub(_escape, json.dumps(plain(value), ensure_ascii=False, sort_keys=True, allow_nan=False))
    return Markup(json_text)  # noqa: S704 - no HTML here


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def pick(value: Any, *names: str) -> dict[str, Any]:
    """The fields of `value` with these names that are set: neither None nor an empty list.

    Raises KeyError for a name that is not a field.
    """
    found = plain(value)
    return {name: found[name] for name in names if found[name] not in (None, [])}


def rename(value: Mapping[str, Any], **names: str) -> dict[str, Any]:
    """The mapping with some keys renamed: rename(ssh_keys="keys")."""
    return {names.get(key, key): item for key, item in value.items()}


def defaults(value: Mapping[str, Any], **values: Any) -> dict[str, Any]:
    """The mapping, with these values for keys that it does not have."""
    return {**values, **value}


def by_name(values: Iterable[Any]) -> dict[str, Any]:
    """The values by their names: looking for a name in it takes no longer if there are many."""
    return {value.name: value for value in values}


def lines(values: Iterable[Any], before: str = "", after: str = "") -> str:
    """A line for each of the values, between `before` and `after`; "" if there are none."""
    return "".join(f"{before}{value}{after}\n" for value in values)


def pairs(values: Mapping[str, Any], separator: str = " ") -> str:
    """A line "key value" for each of the values that is set: neither None nor an empty list.

    true and false are written as yes and no; each item of a list gets a line.
    """
    found: list[str] = []
    for key, value in values.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if item is not None:
                text = {True: "yes", False: "no"}[item] if isinstance(item, bool) else plain(item)
                found.append(f"{key}{separator}{text}\n")
    return "".join(found)


def json_text(value: Any) -> str:
    """The value as indented JSON, which is also YAML."""
    return json.dumps(plain(value), indent=2, sort_keys=True) + "\n"


def unit_word(text: str) -> str:
    """The text quoted as one word of a command in a unit: systemd.service(5)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'


def unit_name(name: str) -> str:
    """The full name of the unit: .service is added to a name without a suffix."""
    return name if "." in name else f"{name}.service"


def script_text(text: str) -> str:
    """The script with an interpreter: sh, stopping at the first error, unless its first line names one."""
    return text if text.startswith("#!") else f"#!/bin/sh -e\n{text}"


def matches(text: str, pattern: str) -> bool:
    """Whether the regular expression matches the whole text."""
    return re.fullmatch(pattern, text) is not None


def like(text: str, patterns: Iterable[str]) -> bool:
    """Whether the text is one of these, which may be shell patterns, as package managers take them for names."""
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def shell_word(text: str) -> str:
    """The text quoted as one word of a shell script."""
    return shlex.quote(text)


def address_kind(text: str) -> str:
    """IPv4, IPv6 or MAC: the kind of an address or a network."""
    return addresses.kind_of(text)


FILTERS: tuple[Callable[..., Any], ...] = (
    pick,
    rename,
    defaults,
    lines,
    pairs,
    by_name,
    json_text,
    unit_word,
    unit_name,
    script_text,
    matches,
    like,
    address_kind,
    shell_word,
)
