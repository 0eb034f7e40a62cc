"""Logical volumes, found by the metadata at the beginning of LVM's partitions (lvm2: lib/format_text)."""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from osbuild_compose.inspecting.extent import Extent
from osbuild_compose.inspecting.tools import ToolError

_SECTOR = 512
_LABEL = b"LABELONE"
_METADATA = b" LVM2 x[5A%r0N*>"
_FIRST_CRC = 0xF597A6CF
_ALL_ONES = 0xFFFFFFFF
_MAX_TEXT = 16 * 1024**2
_MAX_VOLUMES = 1000
_MAX_SEGMENTS = 1000  # of a volume
_MAX_DEPTH = 20
Item = TypeVar("Item")
# An unterminated quote is a token of its own. "*+" does not backtrack: that would take quadratic time.
_TOKEN = re.compile(r'#[^\n]*|"((?:[^"\\]|\\.)*+)"|([\w.+-]+)|([][{}=,"])')


@dataclass(frozen=True)
class LogicalVolume:
    """A logical volume of a volume group. extent is None if it is not one contiguous part of the partition."""

    group: str
    name: str
    extent: Extent | None


def volumes(extent: Extent) -> list[LogicalVolume]:
    """The logical volumes of the volume group on this partition. Raises ToolError if its metadata is damaged."""
    try:
        text, uuid = _text(extent)
        return list(_volumes(extent, _parsed(text), uuid))[:_MAX_VOLUMES]
    except (struct.error, KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ToolError(f"its metadata is damaged: {error}") from None


def _text(extent: Extent) -> tuple[str, str]:
    """The newest metadata, and the UUID of the partition in it."""
    label = next((at for at in range(0, 4 * _SECTOR, _SECTOR) if extent.read(at, 8) == _LABEL), None)
    if label is None:
        raise ValueError("there is no label")
    header = label + struct.unpack("<I", extent.read(label + 20, 4))[0]
    uuid = extent.read(header, 32).decode("ascii")
    # A list of data areas, then one of metadata areas; each ends with zeroes.
    places = [struct.unpack("<QQ", extent.read(header + 40 + 16 * number, 16)) for number in range(16)]
    end = places.index((0, 0))
    for start, size in places[end + 1 : places.index((0, 0), end + 1)]:
        head = extent.read(start, _SECTOR)
        offset, length, checksum = struct.unpack_from("<QQI", head, 40)
        if head[4:20] != _METADATA or not 0 < length <= min(size, _MAX_TEXT):
            continue
        # The area is a ring buffer that continues behind its header.
        first = extent.read(start + offset, min(length, size - offset))
        text = first + extent.read(start + _SECTOR, length - len(first))
        if zlib.crc32(text, _FIRST_CRC ^ _ALL_ONES) ^ _ALL_ONES != checksum:
            raise ValueError("its checksum is wrong")
        return text.decode(errors="replace"), uuid
    raise ValueError("there is no metadata")


def _volumes(extent: Extent, document: dict[str, Any], uuid: str) -> Iterator[LogicalVolume]:
    group, metadata = _one((name, value) for name, value in document.items() if isinstance(value, dict))
    extent_size = _number(metadata["extent_size"]) * _SECTOR
    parts = metadata["physical_volumes"]
    own = _one(name for name, part in parts.items() if part["id"].replace("-", "") == uuid)
    for name, volume in metadata.get("logical_volumes", {}).items():
        if "VISIBLE" not in volume["status"]:
            continue
        segments = [
            volume[f"segment{number}"] for number in range(1, min(_number(volume["segment_count"]), _MAX_SEGMENTS) + 1)
        ]
        first = _number(segments[0]["stripes"][1]) if segments[0].get("stripe_count") == 1 else 0
        whole = all(
            one["type"] == "striped" and one["stripes"] == [own, first + one["start_extent"]] for one in segments
        )
        size = sum(_number(one["extent_count"]) for one in segments) * extent_size
        start = _number(parts[own]["pe_start"]) * _SECTOR + first * extent_size
        yield LogicalVolume(group, name, extent.part(start, size) if whole else None)


def _number(value: object) -> int:
    if not isinstance(value, int):  # a string times a number would be a string that fills the memory
        raise TypeError("a string is in the place of a number")
    return value


def _one(items: Iterator[Item]) -> Item:
    """The first of the items. Raises ValueError if there is none."""
    for item in items:
        return item
    raise ValueError("a part is missing")


def _parsed(text: str) -> dict[str, Any]:
    """Parse LVM's configuration format: name { … } and name = value, with strings, numbers and lists as values."""
    sections: list[dict[str, Any]] = [{}]
    name = key = ""
    items: list[Any] | None = None
    for found in _TOKEN.finditer(text):
        quoted, word, mark = found.groups()
        if mark == "{":
            if len(sections) > _MAX_DEPTH:
                raise ValueError("its sections are nested too deeply")
            inner: dict[str, Any] = {}
            sections[-1][name] = inner
            sections.append(inner)
        elif mark == '"':
            raise ValueError("a string in it is not terminated")
        elif mark == "}":
            sections.pop()
        elif mark == "=":
            key = name
        elif mark == "[":
            items = []
        elif mark == "]":
            sections[-1][key], items, key = items, None, ""
        elif quoted is not None or word is not None:
            value = quoted if quoted is not None else int(word) if re.fullmatch(r"-?\d{1,18}", word) else word
            if items is not None:
                items.append(value)
            elif key:
                sections[-1][key] = value
                key = ""
            else:
                name = str(value)
    return sections[0]
