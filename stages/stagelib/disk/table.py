"""Write partition tables, GPT (UEFI specification 5.3) and DOS, for sectors of any size.

sfdisk of util-linux before 2.40 supports only sectors of 512 bytes; the tests check these tables with it.
"""

import re
import struct
import uuid
import zlib

from stagelib.disk import layout
from stagelib.disk.planner import Plan
from stagelib.disk.types import GPT_ENTRIES
from stagelib.errors import StageError

ENTRY = 128
NAME = 36  # UTF-16 units
NO_CHS = b"\xfe\xff\xff"  # "beyond CHS": the LBA is used
SIGNATURE = b"\x55\xaa"
LEGACY_BOOT = 1 << 2  # attribute of a GPT entry
_DISK_ID = re.compile(r"(?:0x)?([0-9a-fA-F]{8})(?:-[0-9a-fA-F]{4}){0,3}(?:-[0-9a-fA-F]{12})?")


def disk_id(ptuuid: str) -> int:
    """The 32-bit identifier of a DOS partition table from "0x14fc63d2", "14fc63d2" or a UUID's first 8 digits."""
    match = _DISK_ID.fullmatch(ptuuid)
    if match is None:
        raise StageError(f"ptuuid '{ptuuid}' is not a disk identifier", 'write it like "0x14fc63d2", or a UUID')
    return int(match[1], 16)


def write(image: str, disk: layout.Disk, plan: Plan) -> None:
    """Write the table to the file `image`, which has the plan's size already; the boot code stays as it is."""
    with open(image, "r+b") as file:
        for offset, data in (gpt if disk.table == "gpt" else dos)(disk, plan):
            file.seek(offset)
            file.write(data)


def dos(disk: layout.Disk, plan: Plan) -> list[tuple[int, bytes]]:
    """A DOS table as pairs of offset and data."""
    entries = b"".join(
        _dos_entry(layout.dos_type(item.type), place.start // disk.sector, place.size // disk.sector, item.bootable)
        for item, place in zip(disk.partitions, plan.places, strict=True)
    )
    return [(440, struct.pack("<IH", disk_id(disk.uuid), 0) + entries.ljust(64, b"\0") + SIGNATURE)]


def _dos_entry(kind: int, start: int, count: int, bootable: bool) -> bytes:
    return struct.pack("<B3sB3sII", 0x80 if bootable else 0, NO_CHS, kind, NO_CHS, start, count)


def gpt(disk: layout.Disk, plan: Plan) -> list[tuple[int, bytes]]:
    """A GPT with its protective MBR and backup, as pairs of offset and data."""
    sector, total = disk.sector, plan.size // disk.sector
    entries = b"".join(
        _gpt_entry(item, place.start // sector, place.end // sector - 1)
        for item, place in zip(disk.partitions, plan.places, strict=True)
    ).ljust(GPT_ENTRIES, b"\0")
    length = GPT_ENTRIES // sector
    first, last = 2 + length, total - length - 2

    def header(mine: int, other: int, table: int) -> bytes:
        head = struct.pack(
            "<8sIIIIQQQQ16sQIII",
            *(b"EFI PART", 0x10000, 92, 0, 0, mine, other, first, last, uuid.UUID(disk.uuid).bytes_le),
            *(table, GPT_ENTRIES // ENTRY, ENTRY, zlib.crc32(entries)),
        )
        return head[:16] + struct.pack("<I", zlib.crc32(head)) + head[20:]

    protective = _dos_entry(0xEE, 1, min(total - 1, 0xFFFFFFFF), bootable=False)
    protective = protective[:1] + b"\0\2\0" + protective[4:]  # the specification's CHS of sector 1
    return [
        (440, struct.pack("<IH", 0, 0) + protective.ljust(64, b"\0") + SIGNATURE),
        (sector, header(1, total - 1, 2)),
        (2 * sector, entries),
        ((total - 1 - length) * sector, entries),
        ((total - 1) * sector, header(total - 1, 1, total - 1 - length)),
    ]


def _gpt_entry(item: layout.Partition, first: int, last: int) -> bytes:
    kind, own = uuid.UUID(layout.gpt_type(item.type)), uuid.UUID(item.uuid)
    attributes = LEGACY_BOOT if item.bootable else 0
    name = item.name.encode("utf-16-le")[: 2 * NAME]
    return struct.pack("<16s16sQQQ72s", kind.bytes_le, own.bytes_le, first, last, attributes, name)
