"""Reading the directories of an ext4 image: which inode is at which path.

Layout: https://docs.kernel.org/filesystems/ext4/dynamic.html, "Directory Entries" and "Extent Tree". Inode numbers
of 32 bits, names with their types, directories in extents: all that mke2fs makes here.
"""

import os
import struct
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from stagelib.disk.errors import ImageError
from stagelib.disk.ext4_inodes import ROOT, FileSystem, Inode

EXTENT_MAGIC = 0xF30A
I_BLOCK = 0x28  # in an inode: its extents, or the first level of the tree with them
DIRECTORY = 2  # type of an entry


def paths(file: BinaryIO, fs: FileSystem, inodes: Mapping[int, Inode]) -> Iterator[tuple[int, str]]:
    """Number and path of everything in the file system, links several times; the root is "/".

    Names that are not UTF-8 are as os.fsdecode gives them. Raises ImageError when a directory cannot be read.
    """
    yield ROOT, "/"
    todo = [(ROOT, "")]
    while todo:
        number, above = todo.pop()
        for child, kind, name in _entries(file, fs, inodes[number]):
            path = f"{above}/{name}"
            yield child, path
            if kind == DIRECTORY:
                todo.append((child, path))


def _entries(file: BinaryIO, fs: FileSystem, directory: Inode) -> Iterator[tuple[int, int, str]]:
    for block, count in extents(file, fs, directory.body[I_BLOCK : I_BLOCK + 60]):
        file.seek(fs.offset + block * fs.block_size)
        data = file.read(count * fs.block_size)
        at = 0
        while at < len(data):
            number, size, length, kind = struct.unpack_from("<IHBB", data, at)
            name = data[at + 8 : at + 8 + length]
            if size < 8:
                raise ImageError("mke2fs made a directory of a layout that is not known here")
            if number and name not in (b".", b".."):
                yield number, kind, os.fsdecode(name)
            at += size


def extents(file: BinaryIO, fs: FileSystem, node: bytes) -> Iterator[tuple[int, int]]:
    """First block and number of blocks of each extent below a node of the extent tree, in their order in the file."""
    magic, entries, _, depth = struct.unpack_from("<4H", node)
    if magic != EXTENT_MAGIC:
        raise ImageError("mke2fs made a directory of a layout that is not known here")
    for index in range(entries):
        if depth:
            low, high = struct.unpack_from("<IH", node, 12 + index * 12 + 4)
            file.seek(fs.offset + (high << 32 | low) * fs.block_size)
            yield from extents(file, fs, file.read(fs.block_size))
        else:
            count, high, low = struct.unpack_from("<HHI", node, 12 + index * 12 + 4)
            yield high << 32 | low, count
