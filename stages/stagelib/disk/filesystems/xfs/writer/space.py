"""The geometry of the empty XFS from mkfs.xfs, and the allocation of its blocks."""

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from stagelib.disk.sizes import BLOCK
from stagelib.errors import StageError

NO_BLOCK = 0xFFFFFFFF
SHORT_HEADER = 56  # bytes before the records of a B+tree's block in an allocation group
RESERVE = 64  # the fraction of each group kept free while others have room: the kernel reserves 1 %


@dataclass(frozen=True)
class Geometry:
    """The geometry. groups: how many allocation groups of `group_blocks` blocks; the last may be shorter."""

    uuid: bytes
    group_blocks: int
    group_log: int
    groups: int
    sector: int
    root: int
    align: int

    def block(self, group: int, at: int) -> int:
        """The number of a group's block in the file system."""
        return group << self.group_log | at

    def byte(self, block: int) -> int:
        """The offset of a block in bytes."""
        return ((block >> self.group_log) * self.group_blocks + (block & ((1 << self.group_log) - 1))) * BLOCK

    def inode_byte(self, number: int) -> int:
        """The offset of an inode in bytes."""
        return self.byte(number >> 3) + (number & 7) * 512

    def inode(self, block: int) -> int:
        """The number of the first of the eight inodes in a block."""
        return block << 3


@dataclass
class Group:
    """An allocation group: its free extents (first block, count), sorted, and its chunks of inodes (block, free ones).

    root, free_root: the blocks at the root of its two trees of inodes.
    """

    number: int
    free: list[tuple[int, int]]
    root: int
    free_root: int
    chunks: list[tuple[int, int]] = field(default_factory=list)

    @property
    def left(self) -> int:
        """Free blocks."""
        return sum(count for _, count in self.free)


class FullError(StageError):
    """The file system is full."""


class Space:
    """The free blocks of a file system."""

    def __init__(self, geometry: Geometry, groups: list[Group]) -> None:
        self.geometry = geometry
        self.groups = groups
        self._now = 0  # earlier groups have only their reserve
        self.taken = 0

    def take(self, count: int) -> tuple[int, int]:
        """Allocate up to `count` contiguous blocks; returns the first and the number. Raises FullError."""
        group, spare = self._group(1)
        start, length = next(extent for extent in group.free if extent[1])
        got = min(count, length, spare)
        self._remove(group, start, got)
        return self.geometry.block(group.number, start), got

    def take_chunk(self) -> Group:
        """Allocate an aligned chunk of 64 inodes; it is the last chunk of the group returned."""
        size = 64 * 512 // BLOCK
        for group in self.groups[self._now :]:
            for start, length in group.free:
                aligned = start + -start % self.geometry.align
                if aligned + size <= start + length and group.left - size >= self._reserve():
                    self._remove(group, aligned, size)
                    group.chunks.append((aligned, 0))
                    return group
        raise FullError("no room for more files")

    def take_in(self, group: Group, count: int) -> list[int]:
        """Allocate single blocks of a group."""
        taken = []
        for _ in range(count):
            if not group.free:
                raise FullError("no room for more files")
            taken.append(group.free[-1][0])
            self._remove(group, taken[-1], 1)
        return taken

    def _group(self, count: int) -> tuple[Group, int]:
        """The group to allocate from, and how many blocks it can spare; reserves are used last."""
        while self._now < len(self.groups):
            group = self.groups[self._now]
            if (spare := group.left - self._reserve()) >= count:
                return group, spare
            self._now += 1
        for group in self.groups:
            if group.left:
                return group, group.left
        raise FullError("no room for more data")

    def _reserve(self) -> int:
        return self.geometry.group_blocks // RESERVE

    def _remove(self, group: Group, start: int, count: int) -> None:
        for number, (first, length) in enumerate(group.free):
            if first <= start < first + length:
                before, after = (first, start - first), (start + count, first + length - start - count)
                group.free[number : number + 1] = [extent for extent in (before, after) if extent[1]]
                self.taken += count
                return


def read(file: BinaryIO, offset: int) -> Space:
    """Read the empty XFS at byte `offset` of the file."""
    file.seek(offset)
    sb = file.read(512)
    if sb[:4] != b"XFSB" or struct.unpack_from(">IQ", sb, 4)[0] != BLOCK:
        raise StageError("mkfs.xfs made no XFS")
    group_blocks, groups = struct.unpack_from(">II", sb, 84)
    geometry = Geometry(
        uuid=sb[32:48],
        group_blocks=group_blocks,
        group_log=sb[124],
        groups=groups,
        sector=struct.unpack_from(">H", sb, 102)[0],
        root=struct.unpack_from(">Q", sb, 56)[0],
        align=struct.unpack_from(">I", sb, 180)[0],
    )
    return Space(geometry, [_group(file, offset, geometry, number) for number in range(groups)])


def _group(file: BinaryIO, offset: int, geometry: Geometry, number: int) -> Group:
    start = offset + geometry.byte(geometry.block(number, 0))
    file.seek(start + geometry.sector)
    agf = file.read(geometry.sector)
    agi = file.read(geometry.sector)
    by_place, level = struct.unpack_from(">I", agf, 16)[0], struct.unpack_from(">I", agf, 28)[0]
    file.seek(start + by_place * BLOCK)
    leaf = file.read(BLOCK)
    if level != 1 or struct.unpack_from(">I", agi, 24)[0] != 1:
        raise StageError("mkfs.xfs made an empty file system of an unexpected form")
    records = struct.unpack_from(">H", leaf, 6)[0]
    free = [struct.unpack_from(">II", leaf, SHORT_HEADER + 8 * record) for record in range(records)]
    return Group(number, free, struct.unpack_from(">I", agi, 20)[0], struct.unpack_from(">I", agi, 328)[0])
