"""Swap files in a tree: the kernel takes them only if the file system has all of their blocks.

They are nearly all zeroes, which are holes elsewhere: in layers, and in file systems that are made from a directory.
"""

import os
import stat
from collections.abc import Iterator

from stagelib import devices
from stagelib.disk.sizes import BLOCK, has_swap_header


def is_swap_file(path: str | bytes, info: os.stat_result) -> bool:
    """Whether the file, whose status is `info`, was made by mkswap(8)."""
    if not stat.S_ISREG(info.st_mode) or info.st_size < BLOCK or info.st_size % BLOCK:
        return False
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        return has_swap_header(file, info.st_size)
    finally:
        os.close(file)


def in_tree(tree: str) -> Iterator[str]:
    """The paths in the tree of all of its swap files."""
    for above, directories, names in os.walk(tree):
        directories.sort()
        for name in sorted(names):
            path = os.path.join(above, name)
            if is_swap_file(path, devices.lstat(os.fsencode(path))):
                yield path.removeprefix(tree.rstrip("/"))
