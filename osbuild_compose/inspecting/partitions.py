"""Partition tables: GPT (UEFI specification 2.10, chapter 5) and DOS.

sfdisk --json cannot read disks with sectors of 4096 bytes before util-linux 2.39.
"""

import json
import struct
import uuid
from dataclasses import dataclass

from osbuild_compose import data
from osbuild_compose.inspecting.extent import Extent

MAX_PARTITIONS = 256
_DATA = json.loads((data.directory("schemas") / "disk-types.json").read_text(encoding="utf-8"))
_GPT_TITLES = {item["guid"]: item["title"] for item in _DATA["partition_types"]}
_DOS_TITLES = {int(digits, 16): title for digits, title in _DATA["dos_types"].items()}
_EXTENDED = (0x05, 0x0F, 0x85)
_SECTORS = (512, 4096)
_BEGINNING = 128 * 1024  # bytes from the start of a partition: every file system has its superblock there


@dataclass(frozen=True)
class Partition:
    """A partition. start and size are in bytes; type is a GUID or two hexadecimal digits; label is for GPT only."""

    number: int
    type: str
    type_name: str | None
    start: int
    size: int
    label: str | None
    uuid: str
    bootable: bool


@dataclass(frozen=True)
class PartitionTable:
    """A disk's partitions. type is "gpt" or "dos", sector_size in bytes."""

    type: str
    uuid: str
    sector_size: int
    partitions: tuple[Partition, ...]


def read(disk: Extent) -> PartitionTable | None:
    """The disk's partition table, or None. Invalid entries are left out."""
    for sector in _SECTORS:
        header = disk.read(sector, 92)
        if header.startswith(b"EFI PART") and len(header) == 92:
            return _gpt(disk, header, sector)
    first = disk.read(0, 512)
    if len(first) < 512 or first[510:] != b"\x55\xaa":
        return None
    return _dos(disk, first)


def _gpt(disk: Extent, header: bytes, sector: int) -> PartitionTable:
    identity = str(uuid.UUID(bytes_le=header[56:72]))
    entries_lba, count, width = struct.unpack_from("<QII", header, 72)
    found = []
    if 128 <= width <= 4096:
        table = disk.read(entries_lba * sector, min(count, MAX_PARTITIONS) * width)
        for number, at in enumerate(range(0, len(table) - width + 1, width), 1):
            kind, own = (uuid.UUID(bytes_le=table[at + skip : at + skip + 16]) for skip in (0, 16))
            first, last, flags = struct.unpack_from("<QQQ", table, at + 32)
            if kind.int == 0 or last < first:
                continue
            label = table[at + 56 : at + 128].decode("utf-16-le", errors="replace").split("\0")[0]
            size = (last - first + 1) * sector
            name = _GPT_TITLES.get(str(kind))
            bootable = bool(flags & 4)
            found.append(Partition(number, str(kind), name, first * sector, size, label or None, str(own), bootable))
    return PartitionTable("gpt", identity, sector, tuple(found))


def _dos(disk: Extent, first: bytes) -> PartitionTable | None:
    # The first sector of a FAT file system ends with the same bytes, and has text in the place of entries.
    rows = [struct.unpack_from("<B3xB3xII", first, 446 + 16 * number) for number in range(4)]
    if not any(row[3] for row in rows) or any(row[0] not in (0, 0x80) for row in rows):
        return None
    sector = _dos_sector(disk, rows)
    identity = first[440:444][::-1].hex()
    found = []
    for number, row in enumerate(rows, 1):
        if row[1] and row[3]:
            found.append(_dos_partition(number, row, 0, sector, identity))
        if row[1] in _EXTENDED:
            found += _logical(disk, row[2], sector, identity)
    return PartitionTable("dos", identity, sector, tuple(found))


def _dos_sector(disk: Extent, rows: list[tuple[int, int, int, int]]) -> int:
    """The size of a sector in bytes. The table does not say: it is the one with which partitions begin at some data."""
    starts = [start for _, kind, start, size in rows if kind and size]
    for sector in _SECTORS:
        if any(disk.read(start * sector, _BEGINNING).strip(b"\0") for start in starts):
            return sector
    return _SECTORS[0]


def _dos_partition(number: int, row: tuple[int, int, int, int], base: int, sector: int, identity: str) -> Partition:
    """The partition of a row of the table, whose start is relative to the sector `base`."""
    flag, kind, start, size = row
    start, size = (base + start) * sector, size * sector
    name = _DOS_TITLES.get(kind)
    return Partition(number, f"{kind:02x}", name, start, size, None, f"{identity}-{number:02x}", flag == 0x80)


def _logical(disk: Extent, extended: int, sector: int, identity: str) -> list[Partition]:
    """The partitions in an extended one: a linked list of tables, which may be circular on a hostile disk."""
    found: list[Partition] = []
    here = extended
    for number in range(5, 5 + MAX_PARTITIONS):
        table = disk.read(here * sector, 512)
        if len(table) < 512 or table[510:] != b"\x55\xaa":
            break
        row = struct.unpack_from("<B3xB3xII", table, 446)
        if row[1] and row[3]:
            found.append(_dos_partition(number, row, here, sector, identity))
        following, offset = struct.unpack_from("<4xB3xI", table, 462)
        if following not in _EXTENDED or offset <= here - extended:
            break
        here = extended + offset
    return found
