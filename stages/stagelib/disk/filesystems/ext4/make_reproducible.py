"""Make an ext4 image reproducible after mke2fs -d, and give its files their SELinux labels.

mke2fs 1.47.1 and later use SOURCE_DATE_EPOCH as the current time and limit all times in the image to it, so that a
ctime, which cannot be set on a tree, becomes the epoch. What remains to correct: access times before the epoch, times
of modification after it, labels, and the order of extended attributes, which is that of the tree's own file system.
One run of debugfs does that, by the files' paths.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from stagelib import devices
from stagelib.devices import Device
from stagelib.disk import labels, output
from stagelib.disk.filesystems.ext4 import debugfs
from stagelib.disk.sizes import BLOCK


@dataclass(frozen=True)
class File:
    """A file of the tree, by one of its names: its path on this machine, in the tree, and its state before mke2fs."""

    host: str
    path: str
    info: os.stat_result

    @property
    def placeholder_of(self) -> Device | None:
        """The device whose placeholder it is."""
        return devices.of_file(self.host, self.info) if stat.S_ISREG(self.info.st_mode) else None


def survey(directory: str) -> list[File]:
    """The files of a directory, "/" first. Call it before mke2fs, whose reading may change access times."""
    found = [File(directory, "/", os.stat(directory))]
    known: set[tuple[int, int]] = set()
    for host, path in _walk(directory):
        info = os.lstat(host)
        if info.st_nlink > 1 and (info.st_dev, info.st_ino) in known:
            continue
        known.add((info.st_dev, info.st_ino))
        found.append(File(host, path, info))
    return found


def _walk(directory: str) -> Iterator[tuple[str, str]]:
    for above, directories, files in os.walk(directory):
        inside = above[len(directory.rstrip("/")) :].rstrip("/")
        for name in sorted((*directories, *files)):
            yield os.path.join(above, name), f"{inside}/{name}"


def can_be_named(files: list[File]) -> bool:
    """Whether debugfs takes the paths of all files: it reads one command a line."""
    return not any("\n" in file.path for file in files)


def make_reproducible(
    image: str, files: list[File], *, offset: int, epoch: int, wanted: Mapping[str, str], leave_out: str
) -> None:
    """Correct the ext4 at `offset` of `image`, which mke2fs filled with `files` and SOURCE_DATE_EPOCH as `epoch`.

    Files get the labels that are `wanted` of their paths, and no others. The file `leave_out` of the root directory is
    removed, if there is one.
    """
    top = files[0].host
    commands = debugfs.root_directory(top)
    with output.scratch() as work:
        values = debugfs.Values(work)
        for file in files:
            if file.path == f"/{leave_out}":
                inode = debugfs.inode_of(image, offset, file.path)
                commands += debugfs.removal(file.path, inode, -(-file.info.st_size // BLOCK))
                continue
            commands += _attributes(file, wanted.get(file.path), values)
            commands += _times(file.path, file.info, epoch)
        there = {file.path for file in files}
        for path in labels.MADE_BY_MKFS:
            if path in wanted and path not in there:
                commands.append(_set(values, path, labels.XATTR, labels.value(wanted[path])))
        debugfs.run(image, offset, commands, epoch)


def _times(path: str, info: os.stat_result, epoch: int) -> list[str]:
    commands = [
        f"sif {debugfs.quoted(path)} {name} @{epoch}"
        for name, value in (("atime", info.st_atime), ("ctime", info.st_ctime))
        if int(value) < epoch
    ]
    if path != "/" and int(info.st_mtime) > epoch:
        commands.append(f"sif {debugfs.quoted(path)} mtime @{int(info.st_mtime)}")
    return commands


def _attributes(file: File, label: str | None, values: debugfs.Values) -> list[str]:
    """Set the attributes anew, sorted by name, unless there are none or one that stays.

    Each goes where it fits first, the inode or the block, so that the order decides about the place, too.
    """
    found = os.listxattr(file.host, follow_symlinks=False)
    left_out = {labels.XATTR}
    if devices.XATTR in found and file.placeholder_of:
        left_out.add(devices.XATTR)
    if label is None and not left_out.intersection(found) and len(found) < 2:
        return []
    wanted = {name: os.getxattr(file.host, name, follow_symlinks=False) for name in found if name not in left_out}
    if label is not None:
        wanted[labels.XATTR] = labels.value(label)
    commands = [f"ea_rm {debugfs.quoted(file.path)} {debugfs.quoted(name)}" for name in found]
    return commands + [_set(values, file.path, name, value) for name, value in sorted(wanted.items())]


def _set(values: debugfs.Values, path: str, name: str, value: bytes) -> str:
    return f"ea_set -f {values.path(value)} {debugfs.quoted(path)} {debugfs.quoted(name)}"
