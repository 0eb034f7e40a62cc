"""Set the numbers of device nodes in a squashfs whose inodes and directories are not compressed.

mksquashfs made character devices 0:0 of them. (Its pseudo files could be device nodes, but neither their labels nor
their times can be given to all versions in use.)

Layout: the kernel's fs/squashfs/squashfs_fs.h. Numbers are little-endian.
"""

import os
import struct
from collections.abc import Iterator, Mapping
from typing import BinaryIO

from stagelib.devices import Device
from stagelib.disk import stand_ins
from stagelib.errors import StageError

ROOT_INODE, INODE_TABLE, DIRECTORY_TABLE = 32, 64, 72  # in the superblock
BLOCK, HEADER, STORED = 8192, 2, 0x8000  # of metadata: content, and a header with its size and this flag
DIRECTORY, BLOCK_DEVICE, CHARACTER_DEVICE, LONG = 1, 4, 5, 7  # types; the longer forms have 7 more
NUMBERS = 20  # of a device's inode
LISTING_OFFSET = 3  # a directory's size counts "." and ".."


class Table:
    """A table of metadata that is not compressed, in the file from byte `start` on."""

    def __init__(self, file: BinaryIO, start: int) -> None:
        self._file, self._start = file, start

    def _parts(self, block: int, offset: int, size: int) -> Iterator[tuple[int, int]]:
        """Places in the file and sizes of the bytes from `offset` of the block that begins at byte `block` on."""
        while size:
            if offset >= BLOCK:
                block, offset = block + HEADER + BLOCK, offset - BLOCK
                continue
            self._file.seek(self._start + block)
            if not int.from_bytes(self._file.read(HEADER), "little") & STORED:
                raise StageError("mksquashfs compressed what it should not, so device nodes cannot be made")
            part = min(size, BLOCK - offset)
            yield self._start + block + HEADER + offset, part
            offset, size = offset + part, size - part

    def read(self, block: int, offset: int, size: int) -> bytes:
        """The bytes there, which may go on in the next blocks."""
        data = b""
        for place, part in self._parts(block, offset, size):
            self._file.seek(place)
            data += self._file.read(part)
        return data

    def write(self, block: int, offset: int, data: bytes) -> None:
        """Replace bytes there."""
        for place, part in self._parts(block, offset, len(data)):
            self._file.seek(place)
            self._file.write(data[:part])
            data = data[part:]


def set_numbers(image: str, nodes: Mapping[str, Device]) -> None:
    """Give the device nodes at the paths `nodes` of the squashfs `image` their types and numbers."""
    below = stand_ins.by_directory(nodes)
    with open(image, "r+b") as file:
        file.seek(0)
        superblock = file.read(96)
        root = struct.unpack_from("<Q", superblock, ROOT_INODE)[0]
        inodes, listings = (
            Table(file, struct.unpack_from("<Q", superblock, at)[0]) for at in (INODE_TABLE, DIRECTORY_TABLE)
        )
        todo = [(b"/", root >> 16, root & 0xFFFF)]
        while todo:
            above, *inode = todo.pop()
            wanted = dict(below[above])
            for name, block, offset, entry in _entries(listings, inodes.read(inode[0], inode[1], 40)):
                if name not in wanted:
                    continue
                device = wanted.pop(name)
                if device is None:
                    todo.append((os.path.join(above, name), block, offset))
                else:
                    _set(inodes, block, offset, device)
                    kind = BLOCK_DEVICE if device.kind == "b" else CHARACTER_DEVICE
                    listings.write(*entry, struct.pack("<H", kind))
            if wanted:
                raise StageError(f"mksquashfs left out {os.fsdecode(os.path.join(above, min(wanted)))}")


def _entries(listings: Table, directory: bytes) -> Iterator[tuple[bytes, int, int, tuple[int, int]]]:
    """Each entry's name, its inode's block and offset, and the place of its type; from a directory's inode."""
    if struct.unpack_from("<H", directory)[0] == DIRECTORY:
        start, _, size, offset = struct.unpack_from("<IIHH", directory, 16)
    else:
        size, start = struct.unpack_from("<II", directory, 20)
        offset = struct.unpack_from("<H", directory, 34)[0]
    data = listings.read(start, offset, max(size - LISTING_OFFSET, 0))
    at = 0
    while at < len(data):
        count, block = struct.unpack_from("<II", data, at)
        at += 12
        for _ in range(count + 1):
            inode, _, _, length = struct.unpack_from("<HhHH", data, at)
            yield data[at + 8 : at + 9 + length], block, inode, (start, offset + at + 4)
            at += 9 + length


def _set(inodes: Table, block: int, offset: int, device: Device) -> None:
    kind = struct.unpack("<H", inodes.read(block, offset, 2))[0]
    if kind not in (CHARACTER_DEVICE, CHARACTER_DEVICE + LONG, BLOCK_DEVICE, BLOCK_DEVICE + LONG):
        raise StageError("mksquashfs made no device node where there is one")
    made = BLOCK_DEVICE if device.kind == "b" else CHARACTER_DEVICE
    inodes.write(block, offset, struct.pack("<H", made + (LONG if kind > LONG else 0)))
    inodes.write(block, offset + NUMBERS, struct.pack("<I", device.encoded))
