"""Where the values of a foreign blueprint come from: values that know their place, and the lines of their keys."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from osbuild_compose.document import reader
from osbuild_compose.document.node import Trail
from osbuild_compose.errors import ComposeError, InputError, Location

_KEY = r"""(?:"[^"\n]*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_DOTTED = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"\s*(?P<open>\[\[?)\s*(?P<name>{_DOTTED})\s*\]")
_ASSIGNMENT = re.compile(rf"\s*(?P<name>{_DOTTED})\s*=(?P<value>.*)", re.DOTALL)


class Text(str):
    """A text that knows its trail in the foreign blueprint."""

    place: Trail


class Number(int):
    """A whole number that knows its trail in the foreign blueprint."""

    place: Trail


def tagged(value: Any, place: Trail) -> Any:
    """The value as one that knows its place, if it is a text or a number."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return value
    made = Text(value) if isinstance(value, str) else Number(value)
    made.place = place
    return made


def like(other: Any, value: str) -> str:
    """The text as one that comes from the place of another."""
    found: str = tagged(value, other.place) if isinstance(other, Text | Number) else value
    return found


def plain(value: Any) -> Any:
    """The data without places."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, Text):
        return str.__str__(value)
    return int(value) if isinstance(value, Number) else value


def place_in(data: Any, trail: Trail) -> Trail:
    """The foreign place of what is at the trail of our data: its own, or what all that is in it has in common.

    () if it is not known.
    """
    for length in range(len(trail), 0, -1):
        found = list(_places(_at(data, trail[:length])))
        if found:
            return _common(found)
    return ()


def _at(data: Any, trail: Trail) -> Any:
    for step in trail:
        is_there = step in data if isinstance(data, dict) else isinstance(step, int) and step < len(data)
        if not is_there:
            return None
        data = data[step]
    return data


def _places(value: Any) -> Iterator[Trail]:
    if isinstance(value, Text | Number):
        yield value.place
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _places(item)


def _common(trails: list[Trail]) -> Trail:
    first = min(trails, key=len)
    length = len(first)
    while any(trail[:length] != first[:length] for trail in trails):
        length -= 1
    return first[:length]


def shown(trail: Trail) -> str:
    """The trail for people: customizations.user[0].shell."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in trail).lstrip(".")


@dataclass(frozen=True)
class Source:
    """A foreign blueprint: its data in the form of osbuild's own, and the text of its file.

    moved says where in the file something is, by the trails in the data of what is elsewhere there.
    """

    data: dict[str, Any]
    path: Path
    text: str = ""
    is_json: bool = False
    moved: Mapping[Trail, Trail] = field(default_factory=dict)

    def original(self, trail: Trail) -> Trail:
        """The trail in the file of what is at the trail of the data."""
        for length in range(len(trail), -1, -1):
            if trail[:length] in self.moved:
                return (*self.moved[trail[:length]], *trail[length:])
        return trail

    def location(self, trail: Trail) -> Location | None:
        """The line in the file of what is at the trail of the data, or of the nearest key around it."""
        found = self.original(trail)
        while found:
            if found in self._lines:
                number = self._lines[found]
                line = self.text.split("\n")[number - 1].rstrip("\r")
                column = len(line) - len(line.lstrip()) + 1
                return Location(str(self.path), number, column, line, max(1, len(line.strip())))
            found = found[:-1]
        return Location(str(self.path))

    def error(self, trail: Trail, brief: str, hint: str = "") -> InputError:
        """An error about what is at the trail of the data."""
        name = shown(self.original(trail))
        return InputError(f"`{name}`: {brief}" if name else brief, hint=hint, location=self.location(trail))

    @cached_property
    def _lines(self) -> dict[Trail, int]:
        return dict(_json_lines(self.text)) if self.is_json else dict(keys(self.text))


def _json_lines(text: str) -> Iterator[tuple[Trail, int]]:
    try:
        document = reader.parse(text.encode(), "json")  # JSON is YAML
    except ComposeError:
        return

    def walk(value: Any, trail: Trail) -> Iterator[tuple[Trail, int]]:
        if trail:
            yield trail, document.at_key(trail).line
        items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for step, item in items:
            yield from walk(item, (*trail, step))

    yield from walk(document.data, ())


def keys(text: str) -> Iterator[tuple[Trail, int]]:
    """The lines of all keys and tables, each by its trail; those inside of inline tables are left out."""
    counts: dict[Trail, int] = {}  # how many tables an array has so far
    table: Trail = ()
    inside = ""  # the quotes of a text that goes over several lines
    for number, line in enumerate(text.split("\n"), 1):
        if inside:
            inside = "" if line.count(inside) % 2 else inside
            continue
        if match := _HEADER.match(line):
            table = ()
            names = _names(match["name"])
            for position, name in enumerate(names):
                table = (*table, name)
                if match["open"] == "[[" and position == len(names) - 1:
                    counts[table] = counts.get(table, -1) + 1
                    yield table, number
                if table in counts:
                    table = (*table, counts[table])
            yield table, number
        elif match := _ASSIGNMENT.match(line):
            yield (*table, *_names(match["name"])), number
            inside = next((quotes for quotes in ('"""', "'''") if match["value"].count(quotes) % 2), "")


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(name.strip("\"'") for name in re.findall(_KEY, dotted))


def first_line(text: str, names: tuple[str, ...], before: int) -> int | None:
    """The line of a TOML text, before another one, in which the key with these names is given; None if none is."""
    for trail, number in keys("\n".join(text.split("\n")[: before - 1])):
        if tuple(step for step in trail if isinstance(step, str)) == names:
            return number
    return None
