"""List the files of a tree in the order in which they are written, with their attributes and data."""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from stagelib import devices, selinux
from stagelib.disk import labels, sparse_scan
from stagelib.disk.sizes import BLOCK


@dataclass
class File:
    """A file with all its hard links. path: on this machine; name: in the tree; entries: of a directory, sorted."""

    path: bytes
    name: str
    info: os.stat_result
    parent: int
    number: int = 0
    links: int = 1
    entries: list[tuple[bytes, int]] = field(default_factory=list)


def list_files(tree: str) -> list[File]:
    """All files of a tree, the root directory first; parents and entries are indices into the list.

    Each has as many links as it has names in this tree.
    """
    top = os.fsencode(tree)
    found = [File(top, "/", os.stat(top), 0, links=2)]
    known: dict[tuple[int, int], int] = {}
    todo = [0]
    while todo:
        number = todo.pop()
        above = found[number]
        with os.scandir(above.path) as entries:
            names = sorted(entry.name for entry in entries)
        directories = []
        for name in names:
            if number == 0 and name == os.fsencode(selinux.RECORD):
                continue
            path = os.path.join(above.path, name)
            info = devices.lstat(path)
            inode = (info.st_dev, info.st_ino)
            directory = stat.S_ISDIR(info.st_mode)
            if not directory and info.st_nlink > 1 and inode in known:
                found[known[inode]].links += 1
                above.entries.append((name, known[inode]))
                continue
            above.entries.append((name, len(found)))
            if directory:
                above.links += 1
                directories.append(len(found))
            else:
                known[inode] = len(found)
            shown = os.path.join(above.name, os.fsdecode(name))
            found.append(File(path, shown, info, number, links=2 if directory else 1))
        todo += reversed(directories)
    return found


def attributes(file: File, wanted: Mapping[str, str]) -> dict[str, bytes]:
    """Its extended attributes by name, with the wanted SELinux label instead of this machine's, for its device node."""
    made = {
        name: os.getxattr(file.path, name, follow_symlinks=False)
        for name in os.listxattr(file.path, follow_symlinks=False)
        if name != labels.XATTR and not (name == devices.XATTR and _is_device(file.info))
    }
    if file.name in wanted:
        made[labels.XATTR] = labels.value(wanted[file.name])
    return made


def _is_device(info: os.stat_result) -> bool:
    return stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode)


def data(file: File) -> Iterator[tuple[int, bytes]]:
    """The data without blocks of zeroes: the number of the first block in the file, and the bytes from there on."""
    if not file.info.st_size:
        return
    source = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        for at, part in sparse_scan.data_parts(source, BLOCK):
            yield at // BLOCK, part
    finally:
        os.close(source)
