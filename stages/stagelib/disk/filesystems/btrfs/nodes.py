"""Read the trees of a btrfs, change their items, and write their nodes back with checksums."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from stagelib.disk import crc32c
from stagelib.disk.sizes import KIB, MIB
from stagelib.errors import StageError

SUPERBLOCKS = (64 * KIB, 64 * MIB, 256 * 1024 * MIB)
SUPERBLOCK_SIZE = 4096
MAGIC = b"_BHRfS_M"
CHECKSUM_SIZE = 32
HEADER = 101
ITEM, POINTER, KEY = 25, 33, 17
DATA, SYSTEM, METADATA = 1, 2, 4
ROOT_ITEM, CHUNK_ITEM = 132, 228
CHUNK, STRIPE = 48, 32  # sizes without stripes, and of each
SYSTEM_CHUNKS = 811  # the superblock's copy of the chunks with the chunk tree
SYSTEM_CHUNKS_SIZE = 2048
STEP = 4 * MIB


@dataclass(frozen=True)
class Chunk:
    """The places in the file, one or more, of a range of logical addresses."""

    start: int
    size: int
    type: int
    places: tuple[int, ...]


@dataclass(frozen=True)
class Item:
    """An item of a leaf: its key, and the place of its data in the node."""

    owner: int
    object: int
    type: int
    offset: int
    at: int
    size: int


@dataclass
class Node:
    """A node of the tree `owner`."""

    address: int
    owner: int
    level: int
    body: bytearray

    @property
    def count(self) -> int:
        """The number of its items or pointers."""
        return int(struct.unpack_from("<I", self.body, 96)[0])

    def items(self) -> Iterator[Item]:
        """The items of a leaf; none of another node."""
        for number in range(self.count if self.level == 0 else 0):
            key = struct.unpack_from("<QBQII", self.body, HEADER + number * ITEM)
            yield Item(self.owner, key[0], key[1], key[2], HEADER + key[3], key[4])

    def clear(self) -> None:
        """Clear unused bytes of the node."""
        start = HEADER + self.count * (POINTER if self.level else ITEM)
        end = min((item.at for item in self.items()), default=len(self.body))
        self.body[start:end] = bytes(end - start)

    def insert(self, key: tuple[int, int, int], data: bytes) -> None:
        """Insert an item into a leaf, in the order of keys. Raises StageError when there is no room for it."""
        items = list(self.items())
        index = sum((item.object, item.type, item.offset) < key for item in items)
        end = HEADER + ITEM * len(items)
        lowest = min((item.at for item in items), default=len(self.body))
        if lowest - end < ITEM + len(data):
            raise StageError(
                "the btrfs has no room for an attribute of its top directory", "use btrfs-progs 6.12 or newer"
            )
        at = HEADER + ITEM * index
        first = items[index - 1].at if index else len(self.body)
        self.body[lowest - len(data) : first - len(data)] = self.body[lowest:first]
        self.body[first - len(data) : first] = data
        self.body[at + ITEM : end + ITEM] = self.body[at:end]
        struct.pack_into("<QBQII", self.body, at, *key, first - len(data) - HEADER, len(data))
        for number in range(index + 1, len(items) + 1):
            place = HEADER + ITEM * number + KEY
            struct.pack_into("<I", self.body, place, struct.unpack_from("<I", self.body, place)[0] - len(data))
        struct.pack_into("<I", self.body, 96, len(items) + 1)

    def below(self) -> list[int]:
        """The addresses of its child nodes."""
        if self.level == 0:
            return []
        return [struct.unpack_from("<Q", self.body, HEADER + n * POINTER + KEY)[0] for n in range(self.count)]


@dataclass
class Trees:
    """All of a btrfs except files' data."""

    file: BinaryIO
    superblock: bytearray
    chunks: list[Chunk] = field(default_factory=list)
    nodes: dict[int, Node] = field(default_factory=dict)

    @property
    def node_size(self) -> int:
        """Bytes in a node."""
        return int(struct.unpack_from("<I", self.superblock, 148)[0])

    def places(self, address: int) -> list[int]:
        """The places in the file of a logical address."""
        for chunk in self.chunks:
            if chunk.start <= address < chunk.start + chunk.size:
                return [place + address - chunk.start for place in chunk.places]
        raise StageError("mkfs.btrfs made a tree with an invalid pointer")

    def items(self) -> Iterator[tuple[Node, Item]]:
        """All items of all trees."""
        for node in self.nodes.values():
            for item in node.items():
                yield node, item


def read(file: BinaryIO) -> Trees:
    """Read the trees of the btrfs that fills a file."""
    file.seek(SUPERBLOCKS[0])
    superblock = bytearray(file.read(SUPERBLOCK_SIZE))
    if superblock[64:72] != MAGIC or struct.unpack_from("<H", superblock, 196)[0] != 0:
        raise StageError("mkfs.btrfs made no btrfs with CRC-32C")
    trees = Trees(file, superblock)
    at, end = SYSTEM_CHUNKS, SYSTEM_CHUNKS + struct.unpack_from("<I", superblock, 160)[0]
    while at < end:
        start = struct.unpack_from("<Q", superblock, at + 9)[0]
        trees.chunks.append(chunk(superblock, start, at + KEY))
        at += KEY + CHUNK + STRIPE * struct.unpack_from("<H", superblock, at + KEY + 44)[0]
    root, chunk_root = struct.unpack_from("<QQ", superblock, 80)
    _walk(trees, chunk_root)
    trees.chunks = [
        chunk(node.body, item.offset, item.at) for node, item in list(trees.items()) if item.type == CHUNK_ITEM
    ]
    _walk(trees, root)
    for node, item in list(trees.items()):
        if item.type == ROOT_ITEM and (address := struct.unpack_from("<Q", node.body, item.at + 176)[0]):
            _walk(trees, address)
    return trees


def chunk(body: bytearray, start: int, at: int) -> Chunk:
    """The chunk described at byte `at` of a body."""
    size, _, _, kind = struct.unpack_from("<4Q", body, at)
    stripes = struct.unpack_from("<H", body, at + 44)[0]
    places = [struct.unpack_from("<Q", body, at + CHUNK + STRIPE * number + 8)[0] for number in range(stripes)]
    return Chunk(start, size, kind, tuple(places))


def _walk(trees: Trees, address: int) -> None:
    todo = [address]
    while todo:
        now = todo.pop()
        if now not in trees.nodes:
            trees.file.seek(trees.places(now)[0])
            body = bytearray(trees.file.read(trees.node_size))
            if struct.unpack_from("<Q", body, 48)[0] != now:
                raise StageError("mkfs.btrfs made a tree with a pointer to something else")
            trees.nodes[now] = Node(now, struct.unpack_from("<Q", body, 88)[0], body[100], body)
            todo += trees.nodes[now].below()


def write(trees: Trees, size: int) -> None:
    """Write superblocks and nodes back with new checksums; unused space becomes zeroes."""
    nodes = list(trees.nodes.values())
    sums = crc32c.of_records(b"".join(node.body[CHECKSUM_SIZE:] for node in nodes), trees.node_size - CHECKSUM_SIZE)
    kept = []
    for node, checksum in zip(nodes, sums, strict=True):
        node.body[:CHECKSUM_SIZE] = checksum.to_bytes(CHECKSUM_SIZE, "little")
        for place in trees.places(node.address):
            trees.file.seek(place)
            trees.file.write(node.body)
            kept.append((place, place + trees.node_size))
    for place in SUPERBLOCKS:
        if place + SUPERBLOCK_SIZE <= size:
            struct.pack_into("<Q", trees.superblock, 48, place)
            checksum = crc32c.crc32c(bytes(trees.superblock[CHECKSUM_SIZE:]))
            trees.superblock[:CHECKSUM_SIZE] = checksum.to_bytes(CHECKSUM_SIZE, "little")
            trees.file.seek(place)
            trees.file.write(trees.superblock)
            kept.append((place, place + SUPERBLOCK_SIZE))
    for item in trees.chunks:
        if item.type & DATA:
            kept += [(place, place + item.size) for place in item.places]
    at = SUPERBLOCKS[0]
    for start, end in sorted([*kept, (size, size)]):
        while at < start:
            part = min(STEP, start - at)
            trees.file.seek(at)
            if any(trees.file.read(part)):
                trees.file.seek(at)
                trees.file.write(bytes(part))
            at += part
        at = max(at, end)
