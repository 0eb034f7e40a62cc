"""Read the inodes and directories of an ext4 that mke2fs made.

Layout: https://docs.kernel.org/filesystems/ext4/globals.html and .../dynamic.html. Only what mke2fs makes here is
read: blocks of 4 KiB, 64-bit descriptors, inodes of 256 bytes, names with their types, directories in extents.
"""

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from stagelib.disk.filesystems.ext4.debugfs import ROOT
from stagelib.errors import StageError

SUPERBLOCK = 1024  # bytes from the start of the file system
MAGIC = 0xEF53
EXTENT_MAGIC = 0xF30A
I_BLOCK = 0x28  # in an inode: its extents, or the first level of the tree with them
DIRECTORY = 2  # type of an entry
FIRST_OF_TREE = 11  # lost+found; smaller ones but the root are the file system's own and have mke2fs' fixed times
INODE_UNINIT = 0x1


@dataclass(frozen=True)
class Geometry:
    """Where things are in a file system that starts at byte `offset` of its file."""

    offset: int
    block_size: int
    inode_size: int
    inodes_per_group: int
    groups: int
    desc_size: int


@dataclass(frozen=True)
class Inode:
    """Times in seconds since 1970; `body` is the inode as it is on disk, from byte `at` of the file on."""

    number: int
    at: int
    atime: int
    ctime: int
    mtime: int
    crtime: int
    body: bytes

    @property
    def mode(self) -> int:
        """Type and permissions, as in stat(2)."""
        return int(struct.unpack_from("<H", self.body)[0])

    @property
    def size(self) -> int:
        """Bytes in the file."""
        low, high = struct.unpack_from("<I", self.body, 0x4)[0], struct.unpack_from("<I", self.body, 0x6C)[0]
        return int(low | high << 32)

    @property
    def xattr_block(self) -> int:
        """The block with extended attributes that did not fit into the inode; 0: none."""
        low, high = struct.unpack_from("<I", self.body, 0x68)[0], struct.unpack_from("<H", self.body, 0x76)[0]
        return int(low | high << 32)


def read_geometry(file: BinaryIO, offset: int) -> Geometry:
    """Read the superblock of the ext4 at byte `offset`. Raises StageError when there is none."""
    file.seek(offset + SUPERBLOCK)
    sb = file.read(1024)
    if struct.unpack_from("<H", sb, 0x38)[0] != MAGIC:
        raise StageError("there is no ext4 where one was made")
    inodes = struct.unpack_from("<I", sb, 0)[0]
    per_group = struct.unpack_from("<I", sb, 0x28)[0]
    return Geometry(
        offset=offset,
        block_size=1024 << struct.unpack_from("<I", sb, 0x18)[0],
        inode_size=struct.unpack_from("<H", sb, 0x58)[0],
        inodes_per_group=per_group,
        groups=inodes // per_group,
        desc_size=struct.unpack_from("<H", sb, 0xFE)[0],
    )


def used_inodes(file: BinaryIO, fs: Geometry) -> Iterator[Inode]:
    """The inodes in use, in order, without the file system's own except the root directory."""
    file.seek(fs.offset + fs.block_size)  # with 4 KiB blocks the superblock is in block 0
    descriptors = file.read(fs.groups * fs.desc_size)
    for group in range(fs.groups):
        at = group * fs.desc_size
        table_low = struct.unpack_from("<I", descriptors, at + 0x8)[0]
        table_high = struct.unpack_from("<I", descriptors, at + 0x28)[0]
        flags = struct.unpack_from("<H", descriptors, at + 0x12)[0]
        unused = struct.unpack_from("<H", descriptors, at + 0x1C)[0]
        if flags & INODE_UNINIT:
            continue
        start = fs.offset + (table_high << 32 | table_low) * fs.block_size
        file.seek(start)
        table = file.read((fs.inodes_per_group - unused) * fs.inode_size)
        for index in range(len(table) // fs.inode_size):
            number = group * fs.inodes_per_group + index + 1
            body = table[index * fs.inode_size : (index + 1) * fs.inode_size]
            if (number >= FIRST_OF_TREE or number == ROOT) and body[:2] != b"\0\0":
                atime, ctime, mtime = struct.unpack_from("<3i", body, 0x8)
                crtime = struct.unpack_from("<i", body, 0x90)[0]
                yield Inode(number, start + index * fs.inode_size, atime, ctime, mtime, crtime, body)


def walk_paths(file: BinaryIO, fs: Geometry, inodes: Mapping[int, Inode]) -> Iterator[tuple[int, str]]:
    """Number and path of everything in the file system, links several times; the root is "/".

    Names that are not UTF-8 are as os.fsdecode gives them. Raises StageError when a directory cannot be read.
    """
    yield ROOT, "/"
    todo = [(ROOT, "")]
    while todo:
        number, above = todo.pop()
        for child, kind, name in _directory_entries(file, fs, inodes[number]):
            path = f"{above}/{name}"
            yield child, path
            if kind == DIRECTORY:
                todo.append((child, path))


def _directory_entries(file: BinaryIO, fs: Geometry, directory: Inode) -> Iterator[tuple[int, int, str]]:
    for start in directory_blocks(file, fs, directory):
        file.seek(start)
        data = file.read(fs.block_size)
        for at in entries(data):
            number, _, length, kind = struct.unpack_from("<IHBB", data, at)
            name = data[at + 8 : at + 8 + length]
            if number and name not in (b".", b".."):
                yield number, kind, os.fsdecode(name)


def directory_blocks(file: BinaryIO, fs: Geometry, directory: Inode) -> Iterator[int]:
    """Where in the file each block of a directory begins."""
    for block, count in read_extents(file, fs, directory.body[I_BLOCK : I_BLOCK + 60]):
        for number in range(block, block + count):
            yield fs.offset + number * fs.block_size


def entries(block: bytes | bytearray) -> Iterator[int]:
    """Where in a directory's block each entry begins: inode, size, length of the name, type, name."""
    at = 0
    while at < len(block):
        yield at
        size = struct.unpack_from("<H", block, at + 4)[0]
        if size < 8:
            raise StageError("mke2fs made a directory of a layout that is not known here")
        at += size


def read_extents(file: BinaryIO, fs: Geometry, node: bytes) -> Iterator[tuple[int, int]]:
    """First block and number of blocks of each extent below a node of the extent tree, in their order in the file."""
    magic, entries, _, depth = struct.unpack_from("<4H", node)
    if magic != EXTENT_MAGIC:
        raise StageError("mke2fs made a directory of a layout that is not known here")
    for index in range(entries):
        if depth:
            low, high = struct.unpack_from("<IH", node, 12 + index * 12 + 4)
            file.seek(fs.offset + (high << 32 | low) * fs.block_size)
            yield from read_extents(file, fs, file.read(fs.block_size))
        else:
            count, high, low = struct.unpack_from("<HHI", node, 12 + index * 12 + 4)
            yield high << 32 | low, count
