"""Logical volumes, found by the text that LVM keeps at the beginning of its partitions (lvm2's lib/format_text)."""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from osbuild_compose.inspecting.area import Area
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
# A quote that nothing ends is a mark of its own. "*+" never goes back, which takes the square of the text's length.
_TOKEN = re.compile(r'#[^\n]*|"((?:[^"\\]|\\.)*+)"|([\w.+-]+)|([][{}=,"])')


@dataclass(frozen=True)
class LogicalVolume:
    """A logical volume. area is None if it is not one piece of the partition."""

    group: str
    name: str
    area: Area | None


def volumes(area: Area) -> list[LogicalVolume]:
    """The logical volumes of a group that lies on this partition alone. Raises ToolError if it makes no sense."""
    try:
        text, uuid = _text(area)
        return list(_volumes(area, _parsed(text), uuid))[:_MAX_VOLUMES]
    except (struct.error, KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ToolError(f"its description is damaged: {error}") from None


def _text(area: Area) -> tuple[str, str]:
    """The newest description, and the identifier of the partition in it."""
    label = next((at for at in range(0, 4 * _SECTOR, _SECTOR) if area.read(at, 8) == _LABEL), None)
    if label is None:
        raise ValueError("there is no label")
    header = label + struct.unpack("<I", area.read(label + 20, 4))[0]
    uuid = area.read(header, 32).decode("ascii")
    # Places of data, then places of descriptions; both end with zeroes.
    places = [struct.unpack("<QQ", area.read(header + 40 + 16 * number, 16)) for number in range(16)]
    end = places.index((0, 0))
    for start, size in places[end + 1 : places.index((0, 0), end + 1)]:
        head = area.read(start, _SECTOR)
        offset, length, checksum = struct.unpack_from("<QQI", head, 40)
        if head[4:20] != _METADATA or not 0 < length <= min(size, _MAX_TEXT):
            continue
        first = area.read(start + offset, min(length, size - offset))  # it goes on behind the header
        text = first + area.read(start + _SECTOR, length - len(first))
        if zlib.crc32(text, _FIRST_CRC ^ _ALL_ONES) ^ _ALL_ONES != checksum:
            raise ValueError("its checksum is wrong")
        return text.decode(errors="replace"), uuid
    raise ValueError("there is none")


def _volumes(area: Area, document: dict[str, Any], uuid: str) -> Iterator[LogicalVolume]:
    group, about = _one((name, value) for name, value in document.items() if isinstance(value, dict))
    extent = _number(about["extent_size"]) * _SECTOR
    parts = about["physical_volumes"]
    own = _one(name for name, part in parts.items() if part["id"].replace("-", "") == uuid)
    for name, volume in about.get("logical_volumes", {}).items():
        if "VISIBLE" not in volume["status"]:
            continue
        segments = [
            volume[f"segment{number}"] for number in range(1, min(_number(volume["segment_count"]), _MAX_SEGMENTS) + 1)
        ]
        first = _number(segments[0]["stripes"][1]) if segments[0].get("stripe_count") == 1 else 0
        whole = all(
            one["type"] == "striped" and one["stripes"] == [own, first + one["start_extent"]] for one in segments
        )
        size = sum(_number(one["extent_count"]) for one in segments) * extent
        start = _number(parts[own]["pe_start"]) * _SECTOR + first * extent
        yield LogicalVolume(group, name, area.part(start, size) if whole else None)


def _number(value: object) -> int:
    if not isinstance(value, int):  # a text times a number is a text that fills the memory
        raise TypeError("a text is where a number has to be")
    return value


def _one(items: Iterator[Item]) -> Item:
    """The first of them."""
    for item in items:
        return item
    raise ValueError("a part is missing")


def _parsed(text: str) -> dict[str, Any]:
    """LVM's configuration format: name { … }, name = value, values being texts, numbers and lists of them."""
    sections: list[dict[str, Any]] = [{}]
    name = key = ""
    items: list[Any] | None = None
    for found in _TOKEN.finditer(text):
        quoted, word, mark = found.groups()
        if mark == "{":
            if len(sections) > _MAX_DEPTH:
                raise ValueError("it is nested too deeply")
            inner: dict[str, Any] = {}
            sections[-1][name] = inner
            sections.append(inner)
        elif mark == '"':
            raise ValueError("a text in it does not end")
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
