"""Write the metadata of allocation groups: the trees of free space and of inodes, and the counters."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from stagelib.disk.filesystems.xfs.writer import blocks, inodes
from stagelib.disk.filesystems.xfs.writer.blocks import Writer
from stagelib.disk.filesystems.xfs.writer.names import even
from stagelib.disk.filesystems.xfs.writer.space import NO_BLOCK, SHORT_HEADER, Group, Space
from stagelib.disk.sizes import BLOCK

CHUNK = 64
LEAF_RECORDS = (BLOCK - SHORT_HEADER) // 16
NODE_RECORDS = (BLOCK - SHORT_HEADER) // 8
HAS_ATTRIBUTES = 0x10  # XFS_SB_VERSION_ATTRBIT
ALONE = (NO_BLOCK, NO_BLOCK)


def first_chunk(space: Space, writer: Writer, epoch: int) -> list[bytes]:
    """The inodes of mkfs.xfs after the root's, for an absent realtime device, with their times set to `epoch` (s)."""
    made = []
    time = (epoch - inodes.FIRST_TIME) * 10**9
    for number in (space.geometry.root + 1, space.geometry.root + 2):
        inode = writer.read(space.geometry.inode_byte(number), inodes.SIZE)
        for at in (32, 40, 48, 144):
            struct.pack_into(">Q", inode, at, time)
        struct.pack_into(">I", inode, 92, inodes.generation(number, space.geometry.uuid))
        struct.pack_into(">I", inode, inodes.CHECKSUM, 0)
        made.append(bytes(inode))
    return made


def write_inodes(space: Space, writer: Writer) -> None:
    """Write the trees of inodes, allocating their blocks."""
    for group in space.groups:
        if group.chunks:
            _Group(space, writer, group).inodes()


def write(space: Space, writer: Writer) -> None:
    """Write free space and counters from `space`, after everything else."""
    for group in space.groups:
        _Group(space, writer, group).free()
    sb = writer.read(0, space.geometry.sector)
    chunks = [free for group in space.groups for _, free in group.chunks]
    struct.pack_into(">H", sb, 100, struct.unpack_from(">H", sb, 100)[0] | HAS_ATTRIBUTES)
    left = struct.unpack_from(">Q", sb, 144)[0] - space.taken
    struct.pack_into(">QQQ", sb, 128, CHUNK * len(chunks), sum(chunks), left)
    _record(writer, 0, sb, 224)


def _record(writer: Writer, at: int, record: bytearray, checksum: int) -> None:
    struct.pack_into(">I", record, checksum, 0)
    writer.record(at, bytes(record), checksum)


@dataclass(frozen=True)
class _Group:
    space: Space
    writer: Writer
    group: Group

    def free(self) -> None:
        at, agf = self._header(1)
        by_place, by_size = struct.unpack_from(">II", agf, 16)
        sizes = sorted(self.group.free, key=lambda extent: (extent[1], extent[0]))
        for block, magic, extents in ((by_place, b"AB3B", self.group.free), (by_size, b"AB3C", sizes)):
            self._block(block, magic, 0, [struct.pack(">II", *extent) for extent in extents], ALONE)
        struct.pack_into(">II", agf, 52, self.group.left, sizes[-1][1] if sizes else 0)
        _record(self.writer, at, agf, 216)

    def inodes(self) -> None:
        at, agi = self._header(2)
        chunks = self.group.chunks
        level, size = self._tree(self.group.root, b"IAB3", [_chunk(first, free) for first, free in chunks])
        self._tree(self.group.free_root, b"FIB3", [_chunk(first, free) for first, free in chunks if free])
        count, free = CHUNK * len(chunks), sum(free for _, free in chunks)
        struct.pack_into(">IIIII", agi, 16, count, self.group.root, level, free, chunks[-1][0] << 3)
        struct.pack_into(">II", agi, 336, size, 1)
        _record(self.writer, at, agi, 312)

    def _header(self, sector: int) -> tuple[int, bytearray]:
        geometry = self.space.geometry
        at = geometry.byte(geometry.block(self.group.number, 0)) + sector * geometry.sector
        return at, self.writer.read(at, geometry.sector)

    def _tree(self, root: int, magic: bytes, records: list[tuple[int, bytes]]) -> tuple[int, int]:
        """Write a tree of inodes with its root at a block of the group; returns its levels and its size in blocks."""
        level, size = 0, 1
        while len(records) > (NODE_RECORDS if level else LEAF_RECORDS):
            parts = even(records, NODE_RECORDS if level else LEAF_RECORDS)
            numbers = self.space.take_in(self.group, len(parts))
            size += len(parts)
            ends = [NO_BLOCK, *numbers, NO_BLOCK]
            for number, part in enumerate(parts):
                siblings = (ends[number], ends[number + 2])
                self._block(numbers[number], magic, level, _contents(part, level), siblings)
            records = [(part[0][0], struct.pack(">I", number)) for part, number in zip(parts, numbers, strict=True)]
            level += 1
        self._block(root, magic, level, _contents(records, level), ALONE)
        return level + 1, size

    def _block(self, block: int, magic: bytes, level: int, records: Sequence[bytes], siblings: tuple[int, int]) -> None:
        count = len(records) - (1 if level else 0)
        body = bytearray(BLOCK)
        struct.pack_into(">4sHHII", body, 0, magic, level, count, *siblings)
        packed = b"".join(records)
        body[SHORT_HEADER : SHORT_HEADER + len(packed)] = packed
        self.writer.block(
            self.space.geometry.block(self.group.number, block), body, blocks.SHORT_TREE, self.group.number
        )


def _chunk(first: int, free: int) -> tuple[int, bytes]:
    """A record of 64 inodes of which the last `free` are free."""
    mask = ((1 << free) - 1) << (CHUNK - free)
    return first << 3, struct.pack(">IHBBQ", first << 3, 0, CHUNK, free, mask)


def _contents(records: Sequence[tuple[int, bytes]], level: int) -> list[bytes]:
    """The content of a block: records in a leaf, all keys and then all pointers in a node."""
    if level == 0:
        return [record for _, record in records]
    keys = b"".join(struct.pack(">I", key) for key, _ in records)
    return [keys.ljust(4 * NODE_RECORDS, b"\0"), *(record for _, record in records)]
