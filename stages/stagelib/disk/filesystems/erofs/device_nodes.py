"""Turn fifos in an EROFS into device nodes.

mkfs.erofs makes them itself only from a tar archive, from version 1.7 on.
Layout: https://docs.kernel.org/filesystems/erofs.html, the kernel's fs/erofs/erofs_fs.h. Numbers are little-endian.
"""

import os
import stat
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from stagelib.devices import Device
from stagelib.disk import stand_ins
from stagelib.disk.crc32c import crc32c
from stagelib.errors import StageError

SUPERBLOCK = 1024
MAGIC = 0xE0F5E1E2
HAS_CHECKSUM = 1  # of the compatible features
SLOT = 32  # bytes for each number of an inode
PLAIN, INLINE = 0, 2  # layouts of data; in the second one, the last block follows the inode
MODE, NUMBERS, TYPE = 4, 16, 10  # in an inode, and in a directory's entry
CHARACTER, BLOCK = 3, 4  # types of entries
ENTRY = 12


@dataclass(frozen=True)
class Geometry:
    """The bytes in a block, where inodes begin in the file, and the number of the root directory."""

    block: int
    inodes: int
    root: int


def make_device_nodes(image: str, nodes: Mapping[str, Device]) -> None:
    """Make device nodes with these types and numbers of the fifos at the paths `nodes` of the EROFS `image`."""
    below = stand_ins.by_directory(nodes)
    with open(image, "r+b") as file:
        geometry = _geometry(file)
        todo = [(b"/", geometry.root)]
        while todo:
            above, directory = todo.pop()
            wanted = dict(below[above])
            for name, number, entry in list(_entries(file, geometry, directory)):
                if name not in wanted:
                    continue
                device = wanted.pop(name)
                if device is None:
                    todo.append((os.path.join(above, name), number))
                else:
                    _set(file, geometry.inodes + number * SLOT, device)
                    file.seek(entry + TYPE)
                    file.write(bytes([BLOCK if device.kind == "b" else CHARACTER]))
            if wanted:
                raise StageError(f"mkfs.erofs left out {os.fsdecode(os.path.join(above, min(wanted)))}")
        _set_checksum(file, geometry)


def _geometry(file: BinaryIO) -> Geometry:
    file.seek(SUPERBLOCK)
    superblock = file.read(128)
    magic, _, _, bits, _, root = struct.unpack_from("<IIIBBH", superblock)
    if magic != MAGIC:
        raise StageError("there is no EROFS where one was made")
    return Geometry(1 << bits, struct.unpack_from("<I", superblock, 40)[0] << bits, root)


def _entries(file: BinaryIO, geometry: Geometry, directory: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, number of the inode, and place in the file of each entry of a directory."""
    for place, size in _blocks(file, geometry, geometry.inodes + directory * SLOT):
        file.seek(place)
        data = file.read(size)
        count = struct.unpack_from("<H", data, 8)[0] // ENTRY
        starts = [struct.unpack_from("<H", data, ENTRY * index + 8)[0] for index in range(count)]
        for index, (start, end) in enumerate(zip(starts, [*starts[1:], size], strict=True)):
            name = data[start:end].split(b"\0", 1)[0]
            yield name, struct.unpack_from("<Q", data, ENTRY * index)[0], place + ENTRY * index


def _blocks(file: BinaryIO, geometry: Geometry, at: int) -> Iterator[tuple[int, int]]:
    """Where in the file a directory's blocks are, and their sizes; its inode is at byte `at`."""
    file.seek(at)
    inode = file.read(64)
    form, attributes, mode = struct.unpack_from("<HHH", inode)
    extended, layout = form & 1, form >> 1 & 7
    if not stat.S_ISDIR(mode) or layout not in (PLAIN, INLINE):
        raise StageError("mkfs.erofs made a directory of a layout that is not known here")
    left = struct.unpack_from("<Q" if extended else "<I", inode, 8)[0]
    place = struct.unpack_from("<I", inode, 16)[0] * geometry.block
    while left > 0:
        size = min(left, geometry.block)
        if layout == INLINE and left <= geometry.block:
            place = at + (64 if extended else 32) + (12 + 4 * (attributes - 1) if attributes else 0)
        yield place, size
        place, left = place + size, left - size


def _set(file: BinaryIO, at: int, device: Device) -> None:
    file.seek(at + MODE)
    mode = struct.unpack("<H", file.read(2))[0]
    if not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISBLK(mode)):  # one of several links is one already
        raise StageError("mkfs.erofs made something else of a device node")
    file.seek(at + MODE)
    file.write(struct.pack("<H", device.type | stat.S_IMODE(mode)))
    file.seek(at + NUMBERS)
    file.write(struct.pack("<I", device.encoded))


def _set_checksum(file: BinaryIO, geometry: Geometry) -> None:
    """Set the superblock's checksum, which is over the rest of its block, too."""
    file.seek(SUPERBLOCK)
    data = bytearray(file.read(geometry.block - SUPERBLOCK if geometry.block > SUPERBLOCK else geometry.block))
    if struct.unpack_from("<I", data, 8)[0] & HAS_CHECKSUM:
        data[4:8] = bytes(4)
        data[4:8] = struct.pack("<I", crc32c(bytes(data)) ^ 0xFFFFFFFF)
        file.seek(SUPERBLOCK)
        file.write(data)
