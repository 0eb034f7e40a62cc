"""Inodes of XFS, and the extents of files."""

import struct
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from stagelib.disk.filesystems.xfs.writer import blocks
from stagelib.disk.filesystems.xfs.writer.names import even
from stagelib.disk.sizes import BLOCK

SIZE = 512
CHECKSUM = 100
CORE = 176
ROOM = SIZE - CORE  # bytes for data, attributes, or where they are
DEVICE_ROOM = 8  # bytes for a device's numbers: xfs_dinode_verify_forkoff() takes no other offset of attributes
DEVICE, LOCAL, EXTENTS, TREE = range(4)
BIG_TIME = 1 << 3
EXTENT = 16
TREE_MAGIC = b"BMA3"
TREE_HEADER = 72
TREE_RECORDS = (BLOCK - TREE_HEADER) // 16
NO_BLOCK = (1 << 64) - 1
FIRST_TIME, LAST_TIME = -(1 << 31), 16_299_260_424  # seconds since 1970


@dataclass(frozen=True)
class Extent:
    """Contiguous blocks of a file: the number of the first in the file and in the file system, and the count."""

    at: int
    block: int
    count: int


@dataclass(frozen=True)
class Fork:
    """One of an inode's two forks: data or attributes. blocks: how many it uses outside of the inode."""

    format: int
    body: bytes
    extents: int = 0
    blocks: int = 0


@dataclass(frozen=True)
class Inode:
    """The content of an inode. Times in ns since 1970: `modified`, and `other` for all others."""

    number: int
    mode: int
    owner: tuple[int, int]
    links: int
    size: int
    modified: int
    other: int
    data: Fork
    attributes: Fork | None = None


def joined(extents: Sequence[Extent]) -> list[Extent]:
    """The same with adjacent extents merged."""
    made: list[Extent] = []
    most = (1 << 21) - 1
    for item in extents:
        last = made[-1] if made else None
        if (
            last
            and (last.at + last.count, last.block + last.count) == (item.at, item.block)
            and last.count + item.count <= most
        ):
            made[-1] = Extent(last.at, last.block, last.count + item.count)
        else:
            made.append(item)
    return made


def extents_fork(
    extents: Sequence[Extent],
    room: int,
    owner: int,
    take: Callable[[], int],
    write: Callable[[int, bytearray, blocks.Header, int], None],
) -> Fork:
    """The fork with a list of extents: in the inode if it fits into `room` bytes, otherwise in a tree of blocks."""
    count = sum(item.count for item in extents)
    packed = [(item.at, _packed(item)) for item in extents]
    if len(packed) * EXTENT <= room:
        return Fork(EXTENTS, b"".join(record for _, record in packed), len(extents), count)
    level, most = 0, (room - 4) // 16
    while level == 0 or len(packed) > most:
        parts = even(packed, TREE_RECORDS)
        numbers = [take() for _ in parts]
        count += len(numbers)
        for number, part in enumerate(parts):
            back = numbers[number - 1] if number else NO_BLOCK
            forth = numbers[number + 1] if number + 1 < len(parts) else NO_BLOCK
            body = bytearray(BLOCK)
            struct.pack_into(">4sHHQQ", body, 0, TREE_MAGIC, level, len(part), back, forth)
            _records(body, TREE_HEADER, TREE_RECORDS, part, level)
            write(numbers[number], body, blocks.LONG_TREE, owner)
        packed = [(part[0][0], struct.pack(">Q", number)) for part, number in zip(parts, numbers, strict=True)]
        level += 1
    root = bytearray(4 + 16 * most)
    struct.pack_into(">HH", root, 0, level, len(packed))
    _records(root, 4, most, packed, level)
    return Fork(TREE, bytes(root), len(extents), count)


def _records(body: bytearray, start: int, most: int, records: Sequence[tuple[int, bytes]], level: int) -> None:
    for number, (key, record) in enumerate(records):
        if level == 0:
            body[start + 16 * number : start + 16 * number + 16] = record
        else:
            struct.pack_into(">Q", body, start + 8 * number, key)
            body[start + 8 * (most + number) : start + 8 * (most + number) + 8] = record


def _packed(item: Extent) -> bytes:
    return (item.at << 73 | item.block << 21 | item.count).to_bytes(EXTENT, "big")


def device(number: int, major: int, minor: int) -> Fork:
    """The data fork of a device, or for 0 of a fifo or a socket."""
    return Fork(DEVICE, struct.pack(">I", major << 18 | minor if number else 0))


def packed(inode: Inode, uuid: bytes) -> bytes:
    """The inode in its on-disk form, with a zero checksum."""
    attributes = inode.attributes
    start = 0  # offset of the attributes
    if attributes:
        start = DEVICE_ROOM if inode.data.format == DEVICE else ROOM - -(-len(attributes.body) // 8) * 8
    core = struct.pack(
        ">2sHBBHIIIHHQQQQQQIIHBBIHHII4x",
        b"IN",
        inode.mode,
        3,
        inode.data.format,
        0,
        *inode.owner,
        inode.links,
        0,
        0,
        0,
        _time(inode.other),
        _time(inode.modified),
        _time(inode.other),
        inode.size,
        inode.data.blocks + (attributes.blocks if attributes else 0),
        0,
        inode.data.extents,
        attributes.extents if attributes else 0,
        start // 8,
        attributes.format if attributes else EXTENTS,
        0,
        0,
        0,
        generation(inode.number, uuid),
        0xFFFFFFFF,
    )
    core += struct.pack(">QQQI12xQQ16s", 1, 0, BIG_TIME, 0, _time(inode.other), inode.number, uuid)
    data = inode.data.body.ljust(start or ROOM, b"\0")
    return (core + data + (attributes.body if attributes else b"")).ljust(SIZE, b"\0")


def unused(number: int, uuid: bytes) -> bytes:
    """A free inode."""
    made = bytearray(SIZE)
    made[:5] = b"IN\0\0\3"
    struct.pack_into(">II", made, 92, generation(number, uuid), 0xFFFFFFFF)
    struct.pack_into(">Q16s", made, 152, number, uuid)
    return bytes(made)


def generation(number: int, uuid: bytes) -> int:
    """The generation of an inode, which tells it from earlier ones with its number; random in the kernel."""
    return zlib.crc32(uuid + number.to_bytes(8, "big"))


def _time(nanoseconds: int) -> int:
    limited = min(max(nanoseconds, FIRST_TIME * 10**9), LAST_TIME * 10**9)
    return limited - FIRST_TIME * 10**9
