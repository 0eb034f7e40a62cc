"""Make an ext4 image reproducible after mke2fs -d of e2fsprogs before 1.47.1, and give its files their SELinux labels.

Needed until Debian 12 (1.47.0) is no longer supported as a build root or host, June 2028; then this file goes, and
files with a line break in their names can have no label and only one attribute (make_reproducible.py).

mke2fs -d copies every inode's ctime, which cannot be set on the tree, and its atime, which reading changes; it writes
extended attributes in the order in which the tree's own file system lists them. The image's inodes and directories are
read here, and one run of debugfs corrects them: 0.1 s for 13,000 inodes, 0.4 s with labels.

Layout: https://docs.kernel.org/filesystems/ext4/globals.html and .../dynamic.html. Only what mke2fs makes here is
read: blocks of 4 KiB, 64-bit descriptors, inodes of 256 bytes, names with their types, directories in extents.
"""

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from stagelib.disk import labels, output
from stagelib.disk.filesystems.ext4 import debugfs
from stagelib.disk.filesystems.ext4.debugfs import ROOT
from stagelib.errors import StageError

SUPERBLOCK = 1024  # bytes from the start of the file system
MAGIC = 0xEF53
XATTR_MAGIC = 0xEA020000
EXTENT_MAGIC = 0xF30A
I_BLOCK = 0x28  # in an inode: its extents, or the first level of the tree with them
DIRECTORY = 2  # type of an entry
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
        file.seek(fs.offset + (table_high << 32 | table_low) * fs.block_size)
        table = file.read((fs.inodes_per_group - unused) * fs.inode_size)
        for index in range(len(table) // fs.inode_size):
            number = group * fs.inodes_per_group + index + 1
            body = table[index * fs.inode_size : (index + 1) * fs.inode_size]
            if (number >= FIRST_OF_TREE or number == ROOT) and body[:2] != b"\0\0":
                atime, ctime, mtime = struct.unpack_from("<3i", body, 0x8)
                crtime = struct.unpack_from("<i", body, 0x90)[0]
                yield Inode(number, atime, ctime, mtime, crtime, body)


def read_xattrs(file: BinaryIO, fs: Geometry, inode: Inode) -> list[tuple[str, bytes]]:
    """Names and values of the inode's extended attributes, those in the inode first, each in their order on disk."""
    found: list[tuple[str, bytes]] = []
    start = 128 + int(struct.unpack_from("<H", inode.body, 128)[0])
    if struct.unpack_from("<I", inode.body, start)[0] == XATTR_MAGIC:
        found += _xattr_entries(inode.body[start + 4 :], 0)
    if inode.xattr_block:
        file.seek(fs.offset + inode.xattr_block * fs.block_size)
        found += _xattr_entries(file.read(fs.block_size), 32)
    return found


def _xattr_entries(area: bytes, at: int) -> Iterator[tuple[str, bytes]]:
    while area[at : at + 4] != bytes(4):
        length, prefix, value_at, _, value_size, _ = struct.unpack_from("<BBHIII", area, at)
        name = area[at + 16 : at + 16 + length].decode("utf-8", "surrogateescape")
        yield PREFIXES[prefix] + name, area[value_at : value_at + value_size]
        at += 16 + -(-length // 4) * 4


def make_reproducible(
    image: str, directory: str, *, offset: int, epoch: int, wanted: Mapping[str, str], leave_out: str
) -> None:
    """Correct the ext4 at `offset` of `image`, filled from `directory`.

    All times but those of modification become `epoch`. Files get the labels that are `wanted` of their paths, and no
    others; extended attributes come in the order of their names. The root directory gets the mode, owner and time of
    `directory`, which mke2fs leaves out. The file `leave_out` of the root directory is removed, if there is one.
    """
    with output.scratch() as work:
        commands = debugfs.root_directory(directory)
        with open(image, "rb") as file:
            fs = read_geometry(file, offset)
            inodes = {inode.number: inode for inode in used_inodes(file, fs)}
            paths = list(walk_paths(file, fs, inodes))
            gone = {number for number, path in paths if path == f"/{leave_out}"}
            by_inode = {number: wanted[path] for number, path in paths if path in wanted}
            values = debugfs.Values(work)
            for number, inode in inodes.items():
                if number not in gone:
                    found = read_xattrs(file, fs, inode)
                    commands += _attributes(inode, found, by_inode.get(number), values)
                    commands += _times(inode, epoch)
            for number in gone:
                commands += debugfs.removal(f"/{leave_out}", number, -(-inodes[number].size // fs.block_size))
        debugfs.run(image, offset, commands, epoch)


def _times(inode: Inode, epoch: int) -> list[str]:
    times = {"atime": inode.atime, "ctime": inode.ctime, "crtime": inode.crtime}
    return [f"sif <{inode.number}> {name} @{epoch}" for name, value in times.items() if value != epoch]


def _attributes(inode: Inode, found: list[tuple[str, bytes]], label: str | None, values: debugfs.Values) -> list[str]:
    """Set the attributes anew, sorted by name, unless they are as they should be already.

    Each goes where it fits first, the inode or the block, so that the order decides about the place, too.
    """
    wanted = sorted(pair for pair in found if pair[0] != labels.XATTR)
    if label is not None:
        wanted = sorted([*wanted, (labels.XATTR, labels.value(label))])
    if found == wanted and (len(found) < 2 or not inode.xattr_block):
        return []
    commands = [f"ea_rm <{inode.number}> {debugfs.quoted(name)}" for name, _ in found]
    return commands + [
        f"ea_set -r -f {values.path(value)} <{inode.number}> {debugfs.quoted(name)}" for name, value in wanted
    ]


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
    for block, count in read_extents(file, fs, directory.body[I_BLOCK : I_BLOCK + 60]):
        file.seek(fs.offset + block * fs.block_size)
        data = file.read(count * fs.block_size)
        at = 0
        while at < len(data):
            number, size, length, kind = struct.unpack_from("<IHBB", data, at)
            name = data[at + 8 : at + 8 + length]
            if size < 8:
                raise StageError("mke2fs made a directory of a layout that is not known here")
            if number and name not in (b".", b".."):
                yield number, kind, os.fsdecode(name)
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
