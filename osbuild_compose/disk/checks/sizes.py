"""Sizes that can be read, of whole sectors."""

from collections.abc import Iterator, Mapping
from typing import Any

from osbuild_compose.blueprint.select import ANY, values
from osbuild_compose.blueprint.values import size
from osbuild_compose.disk.checks import items
from osbuild_compose.document.reader import Trail
from osbuild_compose.problem import Problem

SECTORS = (512, 4096)
_WAYS = (
    *(("size",), ("free",)),
    *(("partitions", ANY, key) for key in ("size", "minimum", "start")),
    *(("partitions", ANY, "logical_volumes", ANY, key) for key in ("size", "minimum")),
)


def problems(disk: Mapping[str, Any]) -> Iterator[Problem]:
    """All that is wrong with the sizes of a disk and of what is on it."""
    for trail, value in _all(disk):
        if not items.is_amount(value):
            continue
        try:
            found = size.parse(value) if trail == ("size",) else size.to_bytes(value)
        except ValueError as error:
            yield Problem(trail, f"`{trail[-1]}`: {error}")
            continue
        sector = disk.get("sector_size", SECTORS[0])
        if sector in SECTORS and found % sector:
            yield Problem(trail, f"`{trail[-1]}`: {found} bytes is not a multiple of a sector's {sector}")


def all_readable(disk: Mapping[str, Any]) -> bool:
    """Whether all of them have the form of sizes."""
    return all(items.is_amount(value) for _, value in _all(disk))


def _all(disk: Mapping[str, Any]) -> Iterator[tuple[Trail, Any]]:
    return (found for way in _WAYS for found in values(disk, *way))
