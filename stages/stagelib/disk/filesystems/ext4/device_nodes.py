"""Turn placeholders in an ext4 image into device nodes.

mke2fs -d made empty files of them. The inodes and the directories' entries, which hold the type as well, are changed
here: debugfs(8) can only make new ones, and takes no names with a line break.

Layout: https://docs.kernel.org/filesystems/ext4/dynamic.html, "Index Nodes", "Directory Entries", "Checksums".
"""

import stat
import struct
from collections.abc import Iterable
from typing import BinaryIO

from stagelib.devices import Device
from stagelib.disk.crc32c import crc32c
from stagelib.disk.filesystems.ext4 import reading
from stagelib.disk.filesystems.ext4.make_reproducible import File
from stagelib.disk.filesystems.ext4.reading import Geometry, Inode
from stagelib.errors import StageError

CHARACTER, BLOCK = 3, 4  # types of entries
EXTENTS_FLAG = 0x80000
OLD_NUMBERS = 256  # smaller numbers are stored in 16 bits
FLAGS, GENERATION, EXTRA_SIZE = 0x20, 0x64, 0x80
CHECKSUM_LOW, CHECKSUM_HIGH = 0x7C, 0x82
NO_ATTRIBUTES = struct.pack("<I", 0xEA020000)  # the beginning of attributes in an inode
TAIL = struct.pack("<IHBB", 0, 12, 0, 0xDE)  # before the checksum at a directory block's end
TAIL_SIZE = 12


def replace_placeholders(image: str, offset: int, files: Iterable[File]) -> None:
    """Make device nodes of those files of the ext4 at byte `offset` of `image` that are placeholders in the tree."""
    wanted = {file.path: device for file in files if (device := file.placeholder_of)}
    if not wanted:
        return
    with open(image, "r+b") as file:
        fs = reading.read_geometry(file, offset)
        file.seek(offset + reading.SUPERBLOCK + 0x68)
        uuid = file.read(16)
        inodes = {inode.number: inode for inode in reading.used_inodes(file, fs)}
        paths = list(reading.walk_paths(file, fs, inodes))
        nodes = {number: wanted[path] for number, path in paths if path in wanted}
        for number, device in nodes.items():
            body = node(inodes[number].body, device)
            _set_checksum(body, number, uuid)
            file.seek(inodes[number].at)
            file.write(body)
        for inode in inodes.values():
            if stat.S_ISDIR(inode.mode):
                _set_types(file, fs, inode, nodes, uuid)


def node(body: bytes, device: Device) -> bytearray:
    """The inode of a device node, without a checksum, from that of an empty file."""
    made = bytearray(body)
    (mode, flags) = struct.unpack_from("<H", body)[0], struct.unpack_from("<I", body, FLAGS)[0]
    struct.pack_into("<H", made, 0, device.type | stat.S_IMODE(mode))
    struct.pack_into("<I", made, FLAGS, flags & ~EXTENTS_FLAG)
    old = device.major < OLD_NUMBERS and device.minor < OLD_NUMBERS  # ext4_set_de_type() and init_special_inode()
    numbers = (device.major << 8 | device.minor, 0) if old else (0, device.encoded)
    struct.pack_into("<II52x", made, reading.I_BLOCK, *numbers)
    attributes = 128 + struct.unpack_from("<H", body, EXTRA_SIZE)[0]
    if made[attributes:].rstrip(b"\0") == NO_ATTRIBUTES:  # what remains when the last one was removed
        made[attributes:] = bytes(len(made) - attributes)
    return made


def _set_checksum(body: bytearray, number: int, uuid: bytes) -> None:
    """Set the checksum of an inode."""
    has_high = struct.unpack_from("<H", body, EXTRA_SIZE)[0] >= 4
    struct.pack_into("<H", body, CHECKSUM_LOW, 0)
    if has_high:
        struct.pack_into("<H", body, CHECKSUM_HIGH, 0)
    checksum = _checksum(uuid, number, body, bytes(body))
    struct.pack_into("<H", body, CHECKSUM_LOW, checksum & 0xFFFF)
    if has_high:
        struct.pack_into("<H", body, CHECKSUM_HIGH, checksum >> 16)


def _checksum(uuid: bytes, number: int, inode: bytes | bytearray, data: bytes) -> int:
    """The checksum of something that belongs to an inode."""
    return crc32c(uuid + number.to_bytes(4, "little") + inode[GENERATION : GENERATION + 4] + data) ^ 0xFFFFFFFF


def _set_types(file: BinaryIO, fs: Geometry, directory: Inode, nodes: dict[int, Device], uuid: bytes) -> None:
    """Correct the types of the nodes' entries in a directory."""
    for start in list(reading.directory_blocks(file, fs, directory)):
        file.seek(start)
        block = bytearray(file.read(fs.block_size))
        found = [at for at in reading.entries(block) if struct.unpack_from("<I", block, at)[0] in nodes]
        if not found:
            continue
        for at in found:
            device = nodes[struct.unpack_from("<I", block, at)[0]]
            block[at + 7] = CHARACTER if device.kind == "c" else BLOCK
        if block[-TAIL_SIZE:-4] != TAIL:
            raise StageError("mke2fs made a directory of a layout that is not known here")
        checksum = _checksum(uuid, directory.number, directory.body, bytes(block[:-TAIL_SIZE]))
        struct.pack_into("<I", block, len(block) - 4, checksum)
        file.seek(start)
        file.write(block)
