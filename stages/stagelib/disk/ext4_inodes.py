"""Reading the inodes of an ext4 image: times and extended attributes, enough to see what depends on chance.

Layout: https://docs.kernel.org/filesystems/ext4/globals.html and .../dynamic.html. Only what mke2fs makes here: blocks
of 4 KiB, 64-bit descriptors, inodes of 256 bytes.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from stagelib.disk.errors import ImageError

SUPERBLOCK = 1024  # bytes from the start of the file system
MAGIC = 0xEF53
XATTR_MAGIC = 0xEA020000
ROOT = 2
FIRST_OF_TREE = 11  # lost+found; smaller ones but the root are the file system's own and have mke2fs' fixed times
INODE_UNINIT = 0x1

# The first part of a name is kept as a number.
PREFIXES = {
    0: "",
    1: "user.",
    2: "system.posix_acl_access",
    3: "system.posix_acl_default",
    4: "trusted.",
    6: "security.",
    7: "system.",
}


@dataclass(frozen=True)
class FileSystem:
    """Where things are in a file system that starts at byte `offset` of its file; free_blocks as when it was made."""

    offset: int
    block_size: int
    inode_size: int
    inodes_per_group: int
    groups: int
    desc_size: int
    free_blocks: int


@dataclass(frozen=True)
class Inode:
    """Times in seconds since 1970; `body` is the inode as it is on disk."""

    number: int
    atime: int
    ctime: int
    mtime: int
    crtime: int
    body: bytes

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


def file_system(file: BinaryIO, offset: int) -> FileSystem:
    """Read the superblock of the ext4 at byte `offset`. Raises ImageError when there is none."""
    file.seek(offset + SUPERBLOCK)
    sb = file.read(1024)
    if struct.unpack_from("<H", sb, 0x38)[0] != MAGIC:
        raise ImageError("there is no ext4 where one was made")
    inodes, _, _, free = struct.unpack_from("<4I", sb, 0)
    per_group = struct.unpack_from("<I", sb, 0x28)[0]
    return FileSystem(
        offset=offset,
        block_size=1024 << struct.unpack_from("<I", sb, 0x18)[0],
        inode_size=struct.unpack_from("<H", sb, 0x58)[0],
        inodes_per_group=per_group,
        groups=inodes // per_group,
        desc_size=struct.unpack_from("<H", sb, 0xFE)[0],
        free_blocks=free,
    )


def used(file: BinaryIO, fs: FileSystem) -> Iterator[Inode]:
    """The inodes in use, in order; the file system's own ones left out, but the root directory."""
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
        file.seek(fs.offset + (table_high << 32 | table_low) * fs.block_size)
        table = file.read((fs.inodes_per_group - unused) * fs.inode_size)
        for index in range(len(table) // fs.inode_size):
            number = group * fs.inodes_per_group + index + 1
            body = table[index * fs.inode_size : (index + 1) * fs.inode_size]
            if (number >= FIRST_OF_TREE or number == ROOT) and body[:2] != b"\0\0":
                atime, ctime, mtime = struct.unpack_from("<3i", body, 0x8)
                crtime = struct.unpack_from("<i", body, 0x90)[0]
                yield Inode(number, atime, ctime, mtime, crtime, body)


def xattrs(file: BinaryIO, fs: FileSystem, inode: Inode) -> list[tuple[str, bytes]]:
    """Names and values of the inode's extended attributes, those in the inode first, each in their order on disk."""
    found: list[tuple[str, bytes]] = []
    start = 128 + int(struct.unpack_from("<H", inode.body, 128)[0])
    if struct.unpack_from("<I", inode.body, start)[0] == XATTR_MAGIC:
        found += _entries(inode.body[start + 4 :], 0)
    if inode.xattr_block:
        file.seek(fs.offset + inode.xattr_block * fs.block_size)
        found += _entries(file.read(fs.block_size), 32)
    return found


def _entries(area: bytes, at: int) -> Iterator[tuple[str, bytes]]:
    while area[at : at + 4] != bytes(4):
        length, prefix, value_at, _, value_size, _ = struct.unpack_from("<BBHIII", area, at)
        name = area[at + 16 : at + 16 + length].decode("utf-8", "surrogateescape")
        yield PREFIXES[prefix] + name, area[value_at : value_at + value_size]
        at += 16 + -(-length // 4) * 4
