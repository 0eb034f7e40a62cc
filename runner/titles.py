"""What steps are called in progress and plans: a pure function of a program's meta.json and the step's options.

A template is a text with options in braces, such as "install packages ({packages})". It stands for the values of the
option: the items of a list, the keys of an object. `{outputs.format}` is that member of the option `outputs`, or of
each item if that is a list; `{files, symlinks}` is the values of both.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

PLACEHOLDER = re.compile(r"\{([\w.-]+(?:, *[\w.-]+)*)\}")
MAX_NAMES = 32  # characters, after which the remaining names are counted
MAX_NAME = 48
MAX_TITLE = 120


def title(templates: Sequence[str], options: Mapping[str, Any], otherwise: str) -> str:
    """The first of the templates whose options all have values; `otherwise` if there is none.

    It is one line of at most MAX_TITLE characters, which may be any that the options contain.
    """
    for template in templates:
        *parts, end = re.split(PLACEHOLDER, template)
        values = [_shown(names, options) for names in parts[1::2]]
        if all(values):
            text = "".join(before + value for before, value in zip(parts[::2], values, strict=True))
            return _cut(text + end, MAX_TITLE)
    return _cut(otherwise, MAX_TITLE)


def of_summary(summary: str) -> str:
    """A title made of a program's summary: without a capital at its beginning, unless that is an abbreviation's."""
    text = summary.strip().rstrip(".")
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def _shown(names: str, options: Mapping[str, Any]) -> str:
    """The values of the named options: as many as fit, and how many more there are."""
    values = [value for name in names.split(",") for value in _values(options, name.strip().split("."))]
    shown: list[str] = []
    for value in values:
        if shown and len(", ".join([*shown, value])) > MAX_NAMES:
            return ", ".join([*shown, f"{len(values) - len(shown)} more"])
        shown.append(_cut(value, MAX_NAME))
    return ", ".join(shown)


def _values(value: Any, path: Sequence[str]) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _values(item, path)
    elif path:
        if isinstance(value, Mapping) and path[0] in value:
            yield from _values(value[path[0]], path[1:])
    elif isinstance(value, Mapping):
        yield from map(str, value)
    elif isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
        yield str(value)


def _cut(text: str, length: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[: length - 1]}…"
