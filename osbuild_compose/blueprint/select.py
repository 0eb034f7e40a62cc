"""Selecting values by key in the data of a document that may have errors."""

from collections.abc import Iterator, Sequence
from typing import Any

from osbuild_compose.document.node import Trail
from osbuild_compose.problem import Problem

ANY = object()  # stands for all items of a list


def values(data: Any, *keys: object) -> Iterator[tuple[Trail, Any]]:
    """The values that the keys lead to, each with its trail. What does not have the right form is skipped."""
    if not keys:
        yield (), data
    elif keys[0] is ANY and isinstance(data, list):
        for index, item in enumerate(data):
            yield from (((index, *trail), value) for trail, value in values(item, *keys[1:]))
    elif isinstance(keys[0], str) and isinstance(data, dict) and keys[0] in data:
        yield from (((keys[0], *trail), value) for trail, value in values(data[keys[0]], *keys[1:]))


def texts(data: Any, *keys: object) -> Iterator[tuple[Trail, str]]:
    """The strings that the keys lead to, each with its trail."""
    return ((trail, value) for trail, value in values(data, *keys) if isinstance(value, str))


def repeated(data: Any, *keys: object) -> Iterator[Problem]:
    """A problem for each string that the keys lead to for a second time."""
    seen: set[str] = set()
    for trail, name in texts(data, *keys):
        if name in seen:
            yield Problem(trail, f"`{keys[0]}` has {name} twice")
        seen.add(name)


def in_two_lists(data: Any, keys: Sequence[str], lists: Sequence[str]) -> Iterator[Problem]:
    """A problem for each unit that is in more than one of these lists, which are below the keys."""
    seen: dict[str, str] = {}
    for name_of_list in lists:
        for trail, name in texts(data, *keys, name_of_list, ANY):
            unit = name if "." in name else f"{name}.service"
            if seen.setdefault(unit, name_of_list) != name_of_list:
                yield Problem(trail, f"{name} is already in `{seen[unit]}`")
