"""Make an ext4 image reproducible after mke2fs -d of e2fsprogs before 1.47.1, and give its files their SELinux labels.

Needed until Debian 12 (1.47.0) is no longer supported as a build root or host, June 2028; then this file goes, and
files with a line break in their names can have no label and only one attribute (make_reproducible.py).

mke2fs -d copies every inode's ctime, which cannot be set on the tree, and its atime, which reading changes; it writes
extended attributes in the order in which the tree's own file system lists them. The image's inodes and directories are
read here, and one run of debugfs corrects them: 0.1 s for 13,000 inodes, 0.4 s with labels.
"""

import stat
import struct
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from stagelib import devices
from stagelib.disk import labels, output
from stagelib.disk.filesystems.ext4 import debugfs
from stagelib.disk.filesystems.ext4.reading import Geometry, Inode, read_geometry, used_inodes, walk_paths

XATTR_MAGIC = 0xEA020000

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


def _makes_device(inode: Inode, name: str, value: bytes) -> bool:
    """Whether the attribute makes its file the placeholder of a device node."""
    return name == devices.XATTR and stat.S_ISREG(inode.mode) and not inode.size and devices.parse(value) is not None


def _attributes(inode: Inode, found: list[tuple[str, bytes]], label: str | None, values: debugfs.Values) -> list[str]:
    """Set the attributes anew, sorted by name, unless they are as they should be already.

    Each goes where it fits first, the inode or the block, so that the order decides about the place, too.
    """
    wanted = sorted(pair for pair in found if pair[0] != labels.XATTR and not _makes_device(inode, *pair))
    if label is not None:
        wanted = sorted([*wanted, (labels.XATTR, labels.value(label))])
    if found == wanted and (len(found) < 2 or not inode.xattr_block):
        return []
    commands = [f"ea_rm <{inode.number}> {debugfs.quoted(name)}" for name, _ in found]
    return commands + [
        f"ea_set -r -f {values.path(value)} <{inode.number}> {debugfs.quoted(name)}" for name, value in wanted
    ]
