"""Making an ext4's times independent of when its tree was written.

mke2fs -d copies every inode's ctime, which nobody can set on the tree, and its atime, which reading changes. One run
of debugfs rewrites them: 0.1 s for 13,000 inodes, checksums kept. Which inodes need it is read from the inode
tables; layout: https://docs.kernel.org/filesystems/ext4/globals.html and .../dynamic.html
"""

import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from stagelib.disk import tools
from stagelib.disk.errors import ImageError

SUPERBLOCK = 1024  # bytes from the start of the file system
ROOT = 2
FIRST_OF_TREE = 11  # lost+found; smaller ones but the root are the file system's own and have mke2fs' fixed times
MAGIC = 0xEF53
INODE_UNINIT = 0x1


@dataclass(frozen=True)
class _Layout:
    offset: int
    block_size: int
    inode_size: int
    inodes_per_group: int
    groups: int
    desc_size: int
    free_blocks: int


@dataclass(frozen=True)
class _Inode:
    number: int
    atime: int
    ctime: int
    mtime: int
    crtime: int


def normalise(image: str, tree: str, *, offset: int, epoch: int) -> None:
    """Set all times in the ext4 at `offset` of `image` to `epoch`, but keep older times of modification.

    The root directory gets the mode, owner and time of `tree`, which mke2fs leaves out.
    """
    script = _root_commands(tree, epoch)
    with open(image, "rb") as file:  # noqa: PTH123
        for inode in _inodes(file, _layout(file, offset)):
            if inode.mtime > epoch:
                script.append(f"sif <{inode.number}> mtime @{epoch}")
            for name, value in (("atime", inode.atime), ("ctime", inode.ctime), ("crtime", inode.crtime)):
                if value != epoch:
                    script.append(f"sif <{inode.number}> {name} @{epoch}")
    said = tools.run(
        ["debugfs", "-w", "-f", "-", f"{image}?offset={offset}"],
        stdin="\n".join(script) + "\n",
        env={"E2FSPROGS_FAKE_TIME": str(epoch)},
    )
    # debugfs echoes each command after its prompt and ends with 0 whatever happens: all other lines are complaints.
    complaints = [line for line in said.splitlines() if line and not line.startswith("debugfs")]
    if complaints:
        raise ImageError(f"debugfs could not set times: {complaints[0]}")


def free_bytes(image: str, offset: int) -> int:
    """Bytes free in the ext4 at `offset` of `image`."""
    with open(image, "rb") as file:  # noqa: PTH123
        layout = _layout(file, offset)
    return layout.free_blocks * layout.block_size


def _root_commands(tree: str, epoch: int) -> list[str]:
    info = os.stat(tree)
    mode = stat.S_IFDIR | stat.S_IMODE(info.st_mode)
    return [
        f"sif <{ROOT}> mode 0{mode:o}",
        f"sif <{ROOT}> uid {info.st_uid}",
        f"sif <{ROOT}> gid {info.st_gid}",
        f"sif <{ROOT}> mtime @{min(int(info.st_mtime), epoch)}",
    ]


def _layout(file: BinaryIO, offset: int) -> _Layout:
    file.seek(offset + SUPERBLOCK)
    sb = file.read(1024)
    if struct.unpack_from("<H", sb, 0x38)[0] != MAGIC:
        raise ImageError("there is no ext4 where one was made")
    inodes, _, _, free = struct.unpack_from("<4I", sb, 0)
    per_group = struct.unpack_from("<I", sb, 0x28)[0]
    return _Layout(
        offset=offset,
        block_size=1024 << struct.unpack_from("<I", sb, 0x18)[0],
        inode_size=struct.unpack_from("<H", sb, 0x58)[0],
        inodes_per_group=per_group,
        groups=inodes // per_group,
        desc_size=struct.unpack_from("<H", sb, 0xFE)[0],
        free_blocks=free,
    )


def _inodes(file: BinaryIO, layout: _Layout) -> Iterator[_Inode]:
    """The inodes in use, the file system's own ones left out."""
    file.seek(layout.offset + layout.block_size)  # with 4 KiB blocks the superblock is in block 0
    descriptors = file.read(layout.groups * layout.desc_size)
    for group in range(layout.groups):
        at = group * layout.desc_size
        table_lo = struct.unpack_from("<I", descriptors, at + 0x8)[0]
        table_hi = struct.unpack_from("<I", descriptors, at + 0x28)[0]
        flags = struct.unpack_from("<H", descriptors, at + 0x12)[0]
        unused = struct.unpack_from("<H", descriptors, at + 0x1C)[0]
        if flags & INODE_UNINIT:
            continue
        file.seek(layout.offset + ((table_hi << 32) | table_lo) * layout.block_size)
        table = file.read((layout.inodes_per_group - unused) * layout.inode_size)
        for index in range(len(table) // layout.inode_size):
            number = group * layout.inodes_per_group + index + 1
            at_inode = index * layout.inode_size
            if (number >= FIRST_OF_TREE or number == ROOT) and table[at_inode : at_inode + 2] != b"\0\0":
                atime, ctime, mtime = struct.unpack_from("<3i", table, at_inode + 0x8)
                crtime = struct.unpack_from("<i", table, at_inode + 0x90)[0]
                yield _Inode(number, atime, ctime, mtime, crtime)
