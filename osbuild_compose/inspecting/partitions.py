"""Partition tables: GPT (UEFI specification 2.10, chapter 5) and DOS.

sfdisk --json cannot read disks with sectors of 4096 bytes before util-linux 2.39.
"""

import struct
import uuid
from dataclasses import dataclass

from osbuild_compose.inspecting.extent import Extent

MAX_PARTITIONS = 256
_GPT_TYPES = {
    "c12a7328-f81f-11d2-ba4b-00a0c93ec93b": "EFI system",
    "21686148-6449-6e6f-744e-656564454649": "BIOS boot",
    "0fc63daf-8483-4772-8e79-3d69d8477de4": "Linux filesystem",
    "4f68bce3-e8cd-4db1-96e7-fbcaf984b709": "Linux root (x86-64)",
    "b921b045-1df0-41c3-af44-4c6f280d3fae": "Linux root (ARM-64)",
    "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5": "Linux root verity (x86-64)",
    "77ff5f63-e7b6-4633-acf4-1565b864c0e6": "Linux /usr verity (x86-64)",
    "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f": "Linux swap",
    "bc13c2ff-59e6-4262-a352-b275fd6f7172": "Linux extended boot",
    "933ac7e1-2eb4-4f13-b844-0e14e2aef915": "Linux home",
    "3b8f8425-20e0-4f3b-907f-1a25a76f98e8": "Linux server data",
    "4d21b016-b534-45c2-a9fb-5c16e091fd2d": "Linux variable data",
    "7ec6f557-3bc5-4aca-b293-16ef5df639d1": "Linux temporary data",
    "8484680c-9521-48c6-9c11-b0720656f69e": "Linux /usr (x86-64)",
    "e6d6d379-f507-44c2-a23c-238f2a3df928": "Linux LVM",
    "a19d880f-05fc-4d3b-a006-743f0f84911e": "Linux RAID",
    "ca7d7ccb-63ed-4c53-861c-1742536059cc": "Linux LUKS",
    "9e1a2d38-c612-4316-aa26-8b49521e5a8b": "PowerPC PReP boot",
    "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7": "Microsoft basic data",
    "e3c9e316-0b5c-4db8-817d-f92df00215ae": "Microsoft reserved",
}
_DOS_TYPES = {
    0x01: "FAT12",
    0x05: "extended",
    0x06: "FAT16",
    0x07: "NTFS or exFAT",
    0x0B: "FAT32",
    0x0C: "FAT32 (LBA)",
    0x0E: "FAT16 (LBA)",
    0x0F: "extended (LBA)",
    0x17: "hidden NTFS",
    0x41: "PReP boot",
    0x82: "Linux swap",
    0x83: "Linux",
    0x8E: "Linux LVM",
    0xEE: "GPT protective",
    0xEF: "EFI system",
    0xFD: "Linux RAID",
    0xCD: "ISO 9660",
}
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
            name = _GPT_TYPES.get(str(kind))
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
    name = _DOS_TYPES.get(kind)
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
