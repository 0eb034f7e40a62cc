"""Finding things in a document's data, right or wrong."""

from collections.abc import Iterable, Iterator
from typing import Any

from osbuild_compose.document.reader import Trail

ANY = object()  # stands for all indices of a list

Problem = tuple[Trail, str, str]  # where, what is wrong, and what to do


def texts(data: Any, *way: object) -> Iterator[tuple[Trail, str]]:
    """The texts at the end of the way, each with its trail."""
    return ((trail, value) for trail, value in values(data, *way) if isinstance(value, str))


def values(data: Any, *way: object) -> Iterator[tuple[Trail, Any]]:
    """The values at the end of the way, each with its trail."""
    if not way:
        yield (), data
    elif way[0] is ANY and isinstance(data, list):
        for index, item in enumerate(data):
            yield from (((index, *trail), value) for trail, value in values(item, *way[1:]))
    elif isinstance(way[0], str) and isinstance(data, dict) and way[0] in data:
        yield from (((way[0], *trail), value) for trail, value in values(data[way[0]], *way[1:]))


def below(trail: Trail, problems: Iterable[Problem]) -> Iterator[Problem]:
    """Problems with what is at that trail, as those of the whole."""
    return (((*trail, *rest), what, hint) for rest, what, hint in problems)
