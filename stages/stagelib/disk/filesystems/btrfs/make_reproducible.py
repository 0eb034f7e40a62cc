"""Make a btrfs image reproducible and add attributes that mkfs.btrfs omits."""

import os
import stat
import struct
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from stagelib.devices import Device
from stagelib.disk import crc32c
from stagelib.disk.filesystems.btrfs import nodes
from stagelib.disk.filesystems.btrfs.nodes import CHUNK, HEADER, ITEM, STRIPE, Item, Node, Trees

INODE_ITEM, INODE_REF, ATTRIBUTE, ROOT_BACKREF = 1, 12, 24, 144
DIRECTORY_ITEM, DIRECTORY_INDEX = 84, 96
DEVICE_EXTENT, DEVICE, SUBVOLUME_UUID = 204, 216, 251
FILES, FIRST_SUBVOLUME = 5, 256  # the top-level tree, and the first subvolume's
CHARACTER, BLOCK = 3, 4  # types of directory items
NONE: Mapping[bytes, Device] = MappingProxyType({})
IS_ATTRIBUTE = 8  # the type of a directory item that is an attribute
LAST_SUBVOLUME = (1 << 64) - 256
TOP = 256  # the number of a tree's root directory
TIMES = {"atime": 112, "ctime": 124, "mtime": 136, "otime": 148}  # in an inode
ROOT_UUID, ROOT_TIMES = 247, (327, 339)  # in a root's item: ctime and otime
TIME = "<qI"


@dataclass(frozen=True)
class Ids:
    """The identifiers derived from that of the file system."""

    fs: uuid.UUID

    def derive(self, role: str) -> bytes:
        """The identifier for a role in the file system."""
        return uuid.uuid5(self.fs, f"btrfs {role}").bytes

    def subvolume(self, number: int) -> bytes:
        """The identifier of the subvolume with that number."""
        return self.derive(f"subvolume {number}")


def make_reproducible(
    image: str, directory: str, *, fs_uuid: str, epoch: int, wanted: Mapping[bytes, Device] = NONE
) -> None:
    """Correct the btrfs in the file `image`, made by mkfs.btrfs from `directory`.

    Times of modification and numbers of devices are those of the files, all other times become `epoch` (seconds since
    1970). wanted: files of the directory that become device nodes.
    """
    ids = Ids(uuid.UUID(fs_uuid))
    with open(image, "r+b") as file:
        trees = nodes.read(file)
        _top_attributes(trees, directory)
        paths = _Paths(trees, directory)
        found: dict[tuple[int, int], Device] = {}  # by tree and inode
        for node, item in trees.items():
            _correct(node, item, ids, epoch)
            if item.type == INODE_ITEM and paths.known(item):
                path = paths.path(item.owner, item.object)
                _inode(node, item, os.lstat(path))
                if path in wanted:
                    found[item.owner, item.object] = wanted[path]
                    _device(node, item, wanted[path])
        for node, item in trees.items() if found else ():
            if item.type in (DIRECTORY_ITEM, DIRECTORY_INDEX):
                _types(node, item, found)
        for node in trees.nodes.values():
            node.body[64:80] = ids.derive("chunk tree")
            _sort_uuids(node, ids)
            node.clear()
        _superblock(trees.superblock, ids)
        nodes.write(trees, os.path.getsize(image))


def _correct(node: Node, item: Item, ids: Ids, epoch: int) -> None:
    """Replace random values and times in an item."""
    if item.type == INODE_ITEM:
        for at in TIMES.values():
            struct.pack_into(TIME, node.body, item.at + at, epoch, 0)
    elif item.type == nodes.ROOT_ITEM:
        for at in (*TIMES.values(), *ROOT_TIMES):
            if any(node.body[item.at + at : item.at + at + 12]):
                struct.pack_into(TIME, node.body, item.at + at, epoch, 0)
        if any(node.body[item.at + ROOT_UUID : item.at + ROOT_UUID + 16]):
            node.body[item.at + ROOT_UUID : item.at + ROOT_UUID + 16] = ids.subvolume(item.object)
    elif item.type == nodes.CHUNK_ITEM:
        _stripes(node.body, item.at, ids)
    elif item.type == DEVICE:
        node.body[item.at + 66 : item.at + 82] = ids.derive("device")
    elif item.type in (ATTRIBUTE, DIRECTORY_ITEM, DIRECTORY_INDEX):
        _transactions(node, item)
    elif item.type == DEVICE_EXTENT:
        node.body[item.at + 32 : item.at + 48] = ids.derive("chunk tree")


def _transactions(node: Node, item: Item) -> None:
    """Set the transaction in the entries of an item; mkfs.btrfs leaves uninitialised memory."""
    for at in _directory_entries(node, item):
        node.body[at + 17 : at + 25] = node.body[80:88]


def _stripes(body: bytearray, at: int, ids: Ids) -> int:
    """Replace the device's identifier in a chunk; returns the chunk's size."""
    count = struct.unpack_from("<H", body, at + 44)[0]
    for number in range(count):
        place = at + CHUNK + STRIPE * number + 16
        body[place : place + 16] = ids.derive("device")
    return int(CHUNK + STRIPE * count)


def _inode(node: Node, item: Item, info: os.stat_result) -> None:
    struct.pack_into(TIME, node.body, item.at + TIMES["mtime"], *divmod(info.st_mtime_ns, 10**9))
    device = stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode)
    if device:
        struct.pack_into("<Q", node.body, item.at + 56, os.major(info.st_rdev) << 20 | os.minor(info.st_rdev))
    if item.object == TOP:  # btrfs-progs 6.2 does not set the top directory's
        struct.pack_into("<III", node.body, item.at + 44, info.st_uid, info.st_gid, info.st_mode)


def _device(node: Node, item: Item, device: Device) -> None:
    """Make a device node's inode of a file's."""
    mode = struct.unpack_from("<I", node.body, item.at + 52)[0]
    number = device.major << 20 | device.minor
    struct.pack_into("<IQ", node.body, item.at + 52, device.type | stat.S_IMODE(mode), number)


def _types(node: Node, item: Item, found: Mapping[tuple[int, int], Device]) -> None:
    """Correct the types of device nodes in the entries of a directory's item."""
    for at in _directory_entries(node, item):
        inode, kind = struct.unpack_from("<QB", node.body, at)
        if kind == INODE_ITEM and (device := found.get((item.owner, inode))):
            node.body[at + 29] = CHARACTER if device.kind == "c" else BLOCK


def _directory_entries(node: Node, item: Item) -> Iterator[int]:
    """Where each entry of an item begins; names with the same hash share one."""
    at = item.at
    while at < item.at + item.size:
        yield at
        value, name = struct.unpack_from("<HH", node.body, at + 25)
        at += 30 + value + name


def _top_attributes(trees: Trees, directory: str) -> None:
    """Give the top directory its extended attributes, which btrfs-progs before 6.12 omit."""
    found = {(item.owner, item.object, item.type): node for node, item in trees.items()}
    if (FILES, TOP, ATTRIBUTE) in found:
        return
    leaf = found[FILES, TOP, INODE_ITEM]
    for name in sorted(os.listxattr(directory)):
        value, text = os.getxattr(directory, name), os.fsencode(name)
        data = bytes(25) + struct.pack("<HHB", len(value), len(text), IS_ATTRIBUTE) + text + value
        # btrfs_name_hash()
        leaf.insert((TOP, ATTRIBUTE, crc32c.crc32c(text, 0xFFFFFFFE) ^ 0xFFFFFFFF), data)


def _sort_uuids(node: Node, ids: Ids) -> None:
    """Replace and sort the keys of a leaf of the UUID tree, which finds subvolumes by identifier."""
    found = [item for item in node.items() if item.type == SUBVOLUME_UUID]
    numbers = [struct.unpack_from("<Q", node.body, item.at)[0] for item in found]
    order = sorted(numbers, key=lambda number: struct.unpack("<QQ", ids.subvolume(number)))
    for place, (item, number) in enumerate(zip(found, order, strict=True)):
        first, second = struct.unpack("<QQ", ids.subvolume(number))
        struct.pack_into("<QBQ", node.body, HEADER + ITEM * place, first, SUBVOLUME_UUID, second)
        struct.pack_into("<Q", node.body, item.at, number)


def _superblock(body: bytearray, ids: Ids) -> None:
    body[267:283] = ids.derive("device")
    at = nodes.SYSTEM_CHUNKS
    end = at + struct.unpack_from("<I", body, 160)[0]
    while at < end:
        at += nodes.KEY
        at += _stripes(body, at, ids)
    left = nodes.SYSTEM_CHUNKS + nodes.SYSTEM_CHUNKS_SIZE - end
    body[end : end + left] = bytes(left)


class _Paths:
    """The host paths of the files that became inodes."""

    def __init__(self, trees: Trees, directory: str) -> None:
        self._directory = os.fsencode(directory)
        self._above: dict[tuple[int, int], tuple[int, bytes]] = {}
        self._subvolumes: dict[int, tuple[int, int, bytes]] = {}
        for node, item in trees.items():
            if item.type == INODE_REF and _holds_files(item.owner):
                length = struct.unpack_from("<H", node.body, item.at + 8)[0]
                name = bytes(node.body[item.at + 10 : item.at + 10 + length])
                self._above.setdefault((item.owner, item.object), (item.offset, name))
            elif item.type == ROOT_BACKREF:
                above, _, length = struct.unpack_from("<QQH", node.body, item.at)
                name = bytes(node.body[item.at + 18 : item.at + 18 + length])
                self._subvolumes[item.object] = (item.offset, above, name)

    def known(self, item: Item) -> bool:
        return _holds_files(item.owner) and (item.object == TOP or (item.owner, item.object) in self._above)

    def path(self, tree: int, inode: int) -> bytes:
        if inode != TOP:
            above, name = self._above[tree, inode]
            return os.path.join(self.path(tree, above), name)
        if tree in self._subvolumes:
            owner, above, name = self._subvolumes[tree]
            return os.path.join(self.path(owner, above), name)
        return self._directory


def _holds_files(tree: int) -> bool:
    return tree == FILES or FIRST_SUBVOLUME <= tree <= LAST_SUBVOLUME
