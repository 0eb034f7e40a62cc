"""Directories of XFS, in the four forms that depend on their size."""

import itertools
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from stagelib.disk.filesystems.xfs.writer import blocks
from stagelib.disk.sizes import BLOCK

# File types in directories, xfs_da_format.h.
REGULAR, DIRECTORY, CHARACTER, BLOCK_DEVICE, FIFO, SOCKET, SYMLINK = range(1, 8)

BLOCK_MAGIC, DATA_MAGIC, FREE_MAGIC = b"XDB3", b"XDD3", b"XDF3"
LEAF_MAGIC, LAST_LEAF_MAGIC, NODE_MAGIC = 0x3DF1, 0x3DFF, 0x3EBE
HEADER = 64  # bytes before the contents of any block of a directory
LEAF_AT = (32 << 30) // BLOCK
FREE_AT = (64 << 30) // BLOCK
LEAF_ENTRIES = NODE_ENTRIES = (BLOCK - HEADER) // 8
FREE_ENTRIES = (BLOCK - HEADER) // 2
SHORT_ENTRIES = 255

Item = TypeVar("Item")


@dataclass(frozen=True)
class Name:
    """An entry of a directory: its name, the number of its inode, its type."""

    name: bytes
    inode: int
    type: int


@dataclass(frozen=True)
class Logical:
    """A block of a file: its number in the file, its content, and the layout of its header."""

    at: int
    body: bytearray
    header: blocks.Header


def hashed(name: bytes) -> int:
    """The hash of a name, xfs_da_hashname()."""
    value = 0
    whole = len(name) & ~3
    for at in range(0, whole, 4):
        value = (
            name[at] << 21
            ^ name[at + 1] << 14
            ^ name[at + 2] << 7
            ^ name[at + 3]
            ^ (value << 28 & 0xFFFFFFFF | value >> 4)
        )
    rest = name[whole:]
    if rest:
        turn = 7 * len(rest)
        value = value << turn & 0xFFFFFFFF | value >> (32 - turn)
        for number, byte in enumerate(reversed(rest)):
            value ^= byte << 7 * number
    return value


def short(names: Sequence[Name], parent: int) -> bytes | None:
    """The short form of a directory, for its inode; None when it is too large for any inode."""
    if len(names) > SHORT_ENTRIES:
        return None
    made = [struct.pack(">BBI", len(names), 0, parent)]
    at = HEADER + _size(b".") + _size(b"..")  # where the entry would be in a block
    for item in names:
        made.append(struct.pack(">BH", len(item.name), at) + item.name + struct.pack(">BI", item.type, item.inode))
        at += _size(item.name)
    return b"".join(made)


def long(names: Sequence[Name], inode: int, parent: int) -> list[Logical]:
    """The blocks of a directory: a single one, or blocks with entries, with hashes and with free space."""
    entries = [Name(b".", inode, DIRECTORY), Name(b"..", parent, DIRECTORY), *names]
    if HEADER + sum(_size(item.name) + 8 for item in entries) + 8 <= BLOCK:
        return [_single(entries)]
    data, hashes, bests = _data(entries)
    if HEADER + 8 * len(hashes) + 2 * len(bests) + 4 <= BLOCK:
        return [*data, _leaf(hashes, bests)]
    return [*data, *_tree(hashes), *_free(bests)]


def entries_size(data: Sequence[Logical]) -> int:
    """The size of a directory of these blocks as its inode has it: that of its entries."""
    return sum(BLOCK for block in data if block.at < LEAF_AT)


def _size(name: bytes) -> int:
    return -(-(12 + len(name)) // 8) * 8


def _put(body: bytearray, at: int, item: Name) -> None:
    size = _size(item.name)
    struct.pack_into(f">QB{len(item.name)}sB", body, at, item.inode, len(item.name), item.name, item.type)
    struct.pack_into(">H", body, at + size - 2, at)


def _unused(body: bytearray, start: int, end: int) -> int:
    """Mark free space; returns its size."""
    if end > start:
        struct.pack_into(">HH", body, start, 0xFFFF, end - start)
        struct.pack_into(">H", body, end - 2, start)
        struct.pack_into(">HH", body, 48, start, end - start)
    return end - start


def _single(entries: Sequence[Name]) -> Logical:
    body = bytearray(BLOCK)
    body[:4] = BLOCK_MAGIC
    at, hashes = HEADER, []
    for item in entries:
        _put(body, at, item)
        hashes.append((hashed(item.name), at >> 3))
        at += _size(item.name)
    leaf = BLOCK - 8 - 8 * len(hashes)
    _unused(body, at, leaf)
    for number, pair in enumerate(sorted(hashes)):
        struct.pack_into(">II", body, leaf + 8 * number, *pair)
    struct.pack_into(">II", body, BLOCK - 8, len(hashes), 0)
    return Logical(0, body, blocks.DATA)


def _data(entries: Sequence[Name]) -> tuple[list[Logical], list[tuple[int, int]], list[int]]:
    """The blocks with entries; hash and place of each entry, sorted; and the free space in each block."""
    made: list[Logical] = []
    hashes, bests = [], []
    at = BLOCK
    for item in entries:
        if at + _size(item.name) > BLOCK:
            if made:
                bests.append(_unused(made[-1].body, at, BLOCK))
            made.append(Logical(len(made), bytearray(BLOCK), blocks.DATA))
            made[-1].body[:4] = DATA_MAGIC
            at = HEADER
        _put(made[-1].body, at, item)
        hashes.append((hashed(item.name), (made[-1].at * BLOCK + at) >> 3))
        at += _size(item.name)
    bests.append(_unused(made[-1].body, at, BLOCK))
    return made, sorted(hashes), bests


def _names_block(
    at: int, magic: int, pairs: Sequence[tuple[int, int]], extra: int = 0, siblings: tuple[int, int] = (0, 0)
) -> Logical:
    """A block of hashes; extra: 0 in a leaf (removed entries), the level in a node; siblings: the next and the previous
    block."""
    body = bytearray(BLOCK)
    struct.pack_into(">IIH", body, 0, *siblings, magic)
    struct.pack_into(">HH", body, 56, len(pairs), extra)
    for number, pair in enumerate(pairs):
        struct.pack_into(">II", body, HEADER + 8 * number, *pair)
    return Logical(at, body, blocks.NAMES)


def _leaf(hashes: Sequence[tuple[int, int]], bests: Sequence[int]) -> Logical:
    made = _names_block(LEAF_AT, LEAF_MAGIC, hashes)
    struct.pack_into(f">{len(bests)}HI", made.body, BLOCK - 4 - 2 * len(bests), *bests, len(bests))
    return made


def _tree(hashes: Sequence[tuple[int, int]]) -> list[Logical]:
    """Leaves with hashes, and nodes above them; the root is the first block."""
    made: list[Logical] = []
    level, magic, pairs, after = 0, LAST_LEAF_MAGIC, list(hashes), LEAF_AT + 1
    while True:
        parts = even(pairs, LEAF_ENTRIES)
        if len(parts) == 1:
            return [*made, _names_block(LEAF_AT, magic, pairs, level)]
        first, pairs = after, []
        for number, part in enumerate(parts):
            back = first + number - 1 if number else 0
            forth = first + number + 1 if number + 1 < len(parts) else 0
            made.append(_names_block(first + number, magic, part, level, (forth, back)))
            pairs.append((part[-1][0], first + number))
        level, magic, after = level + 1, NODE_MAGIC, first + len(parts)


def _free(bests: Sequence[int]) -> list[Logical]:
    made = []
    for number, first in enumerate(range(0, len(bests), FREE_ENTRIES)):
        part = bests[first : first + FREE_ENTRIES]
        body = bytearray(BLOCK)
        body[:4] = FREE_MAGIC
        struct.pack_into(f">III4x{len(part)}H", body, 48, first, len(part), len(part), *part)
        made.append(Logical(FREE_AT + number, body, blocks.DATA))
    return made


def even(items: Sequence[Item], most: int) -> list[list[Item]]:
    """Split items into as few parts as possible of up to `most` items and about the same length."""
    parts = max(1, -(-len(items) // most))
    ends = [len(items) * number // parts for number in range(parts + 1)]
    return [list(items[start:end]) for start, end in itertools.pairwise(ends)]
