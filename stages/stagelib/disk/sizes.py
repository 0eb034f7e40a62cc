"""Sizes: parsing, formatting, and measuring trees."""

import os
import re
import stat
from dataclasses import dataclass
from functools import cache

from stagelib.disk import sparse_scan
from stagelib.errors import StageError

KIB = 1024
MIB = 1024 * KIB
BLOCK = 4096  # bytes in a block of the file systems made here
SEARCHED = MIB  # files of this size and larger are searched for blocks of zeroes
SWAP_HEADER = b"SWAPSPACE2"  # at the end of the first page of 4 KiB, mkswap(8)
FAST_SYMLINK = 60  # a shorter target is stored in the inode, ext4(5)

_UNITS = "KMGTPE"
_SIZE = re.compile(rf"(\d+)\s*(?:([{_UNITS}])(B|iB)?)?")


def parse(size: int | str) -> int:
    """The bytes in a number or in text such as "3G", as truncate(1) parses it.

    K, M, G, T and KiB, MiB, ... are powers of 1024; KB, MB, ... powers of 1000. Raises StageError on anything else.
    """
    if isinstance(size, int):
        return size
    match = _SIZE.fullmatch(size)
    if match is None:
        raise StageError(f"'{size}' is not a size", 'write bytes (3221225472) or a unit of 1024: "3G", "512M"')
    number, unit, suffix = match.groups()
    if unit is None:
        return int(number)
    base = 1000 if suffix == "B" else 1024
    return int(number) * int(base ** (_UNITS.index(unit) + 1))


def human(size: int) -> str:
    """A size in bytes as text: "412.3 MiB"."""
    value = float(size)
    for unit in ("bytes", "KiB", "MiB"):
        if value < KIB:
            return f"{value:.0f} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= KIB
    return f"{value:.1f} GiB"


@dataclass(frozen=True)
class TreeSize:
    """What a tree needs in a file system: `inodes`, and `data` bytes in whole blocks of 4 KiB."""

    inodes: int
    data: int


def of_tree(tree: str) -> TreeSize:
    """Walk `tree` and add up what it needs; hard links count once, blocks of zeroes in larger files do not count.

    Those of swap files do, which have no holes.

    The result does not depend on whether zeroes are holes on disk, so that images get the same size.
    Extended attributes that do not fit into an inode are not counted, so `data` is slightly low.
    """
    seen: set[tuple[int, int]] = set()
    inodes, data = 1, BLOCK
    todo = [tree]
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                info = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(info.st_mode):
                    todo.append(entry.path)
                    data += BLOCK
                elif info.st_nlink > 1:
                    if (info.st_dev, info.st_ino) in seen:
                        continue
                    seen.add((info.st_dev, info.st_ino))
                inodes += 1
                if stat.S_ISREG(info.st_mode):
                    data += blocks(info.st_size) if info.st_size < SEARCHED else _filled(entry.path, info.st_mtime_ns)
                elif stat.S_ISLNK(info.st_mode) and info.st_size >= FAST_SYMLINK:
                    data += BLOCK
    return TreeSize(inodes, data)


def with_holes(tree: str) -> int:
    """The bytes of all files, including holes."""
    found = (os.lstat(os.path.join(above, name)) for above, _, names in os.walk(os.fsencode(tree)) for name in names)
    return sum({(info.st_dev, info.st_ino): blocks(info.st_size) for info in found}.values())


@cache
def _filled(path: str, _modified: int) -> int:
    """The bytes in blocks that are not zeroes."""
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        size = os.fstat(file).st_size
        if has_swap_header(file, size):
            return size
        return sum(blocks(len(part)) for _, part in sparse_scan.data_parts(file, BLOCK))
    finally:
        os.close(file)


def has_swap_header(file: int, size: int) -> bool:
    """Whether an open file of this size was made by mkswap(8)."""
    return (
        size >= BLOCK
        and size % BLOCK == 0
        and os.pread(file, len(SWAP_HEADER), BLOCK - len(SWAP_HEADER)) == SWAP_HEADER
    )


def blocks(size: int) -> int:
    """`size` rounded up to whole blocks, in bytes."""
    return -(-size // BLOCK) * BLOCK


def largest(tree: str, name: str = "/", depth: int = 2) -> list[tuple[int, str]]:
    """The directories `depth` levels down with the bytes in each, as (bytes, path); paths begin with `name`."""
    todo, found = [(tree, name)], []
    for _ in range(depth):
        todo = [
            (entry.path, os.path.join(place, entry.name))
            for path, place in todo
            for entry in os.scandir(path)
            if entry.is_dir(follow_symlinks=False)
        ] or todo
    for path, place in todo:
        found.append((of_tree(path).data, place))
    return sorted(found, reverse=True)
