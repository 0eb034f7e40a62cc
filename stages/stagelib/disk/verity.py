"""Partitions protected by dm-verity and the partitions with their hashes, made in plain files by veritysetup(8).

A root hash is known only when its file system is complete, and the rest of the disk may depend on it, so these
partitions are made before all others, in files of their own.

A file of the tree can contain root hashes: `@roothash:MOUNT@` in it stands for the root hash of the file system mounted
at MOUNT; in a unified kernel image it is replaced in the kernel's command line only. The tree itself is not changed:
images are made with copies of these files, which hold zeroes until the hash is known, so that their size never changes.
"""

import fnmatch
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from stagelib import tree_paths, uki
from stagelib.disk import layout, planner, tools
from stagelib.disk.partition_content import PartitionContent
from stagelib.disk.planner import Place
from stagelib.errors import StageError

LARGEST = 1 << 30  # bytes of a file with root hashes: unified kernel images have some 100 MiB
DIGITS = 64  # of a sha256
TOKEN = re.compile(rb"@roothash:([^@\n]+)@")


class RootHashFiles:
    """Copies of files of a tree, mounted in place of them; `files` has the copy's path for each."""

    def __init__(self, tree: str, paths: Sequence[str], work: str) -> None:
        """Copy the files `paths` (absolute, in `tree`) to the directory `work`.

        A star in the last part of a path matches any text. Raises StageError for anything but a regular file.
        """
        self.files: dict[str, str] = {}
        self._tree = tree
        for number, path in enumerate(one for given in paths for one in _named(tree, given)):
            host = tree.rstrip("/") + path
            if not os.path.isfile(host) or os.path.realpath(host) != os.path.realpath(tree).rstrip("/") + path:
                raise StageError(f"the tree has no file {path}, free of symlinks, to write root hashes into")
            self.files[path] = os.path.join(work, f"root-hashes-{number}")
        self.fill({})

    def fill(self, known: Mapping[str, str]) -> None:
        """Write the root hashes, by mount points, into the copies."""

        def found(match: re.Match[bytes]) -> bytes:
            return known.get(os.fsdecode(match[1]), "0" * DIGITS).encode()

        for path, copy in self.files.items():
            source = self._tree.rstrip("/") + path
            data = tree_paths.read_bytes(self._tree, path, limit=LARGEST)
            with open(copy, "wb") as writer:
                if uki.is_unified(data):
                    writer.write(uki.with_command_line(data, TOKEN.sub(found, uki.command_line(data))))
                else:
                    writer.write(TOKEN.sub(found, data))
            info = os.stat(source)
            os.chown(copy, info.st_uid, info.st_gid)
            shutil.copystat(source, copy)  # attributes that cannot be set are left out


def _named(tree: str, path: str) -> list[str]:
    """The files of the tree that match the path; the path itself when there are none."""
    above, _, name = path.rpartition("/")
    if "*" not in name:
        return [path]
    pattern = name.replace("[", "[[]").replace("?", "[?]")
    return [f"{above}/{one}" for one in fnmatch.filter(tree_paths.list_names(tree, above), pattern)] or [path]


BLOCK = 4096


@dataclass(frozen=True)
class Sealed:
    """Finished partitions: the files to copy into their places, and the root hashes, both by number.

    roots has the hashes by the number of the partition with the hashes.
    """

    files: Mapping[int, str]
    roots: Mapping[int, str]


def seal(disk: layout.Disk, contents: Mapping[int, PartitionContent], copies: RootHashFiles, work: str) -> Sealed:
    """Make the protected file systems among `contents` and their hashes, in files in the directory `work`.

    The most deeply mounted one is made first, and its root hash written into `copies`, which the others may contain.
    """
    files: dict[int, str] = {}
    roots: dict[int, str] = {}
    known: dict[str, str] = {}
    for number, hashes in sorted(disk.hashes, key=lambda one: _mountpoint(disk, one[1]), reverse=True):
        data, own = (os.path.join(work, f"{kind}-{number + 1}") for kind in ("data", "hashes"))
        _make(disk, hashes.of, contents[hashes.of], data)
        roots[number] = _hash(hashes, data, own)
        files |= {hashes.of: data, number: own}
        known[_mountpoint(disk, hashes)] = roots[number]
        copies.fill(known)
    return Sealed(files, roots)


def _mountpoint(disk: layout.Disk, hashes: layout.Hashes) -> str:
    """The mount point of the partition that the hashes protect. Deeper ones sort last."""
    return next(iter(disk.partitions[hashes.of].mountpoints), "")


def _make(disk: layout.Disk, number: int, content: PartitionContent, path: str) -> None:
    """Make the file system in the new file `path`, with the size of its partition."""
    need = content.minimum() if disk.partitions[number].size is not None else content.need(0)
    size = planner.least(disk, number, need)
    with open(path, "wb") as file:
        file.truncate(size)
    content.write(path, Place(0, size))


def _hash(hashes: layout.Hashes, data: str, path: str) -> str:
    """Write the hashes of the file `data` into the new file `path`; returns the root hash."""
    root = f"{path}.root"
    argv = ["veritysetup", "format", "--hash=sha256", f"--data-block-size={BLOCK}", f"--hash-block-size={BLOCK}"]
    tools.run([*argv, f"--salt={hashes.salt}", f"--uuid={hashes.uuid}", f"--root-hash-file={root}", data, path])
    with open(root, encoding="ascii") as file:
        return file.read().strip()


def with_uuids(disk: layout.Disk, sealed: Sealed) -> layout.Disk:
    """The disk with UUIDs for the partitions that have none: halves of the root hash.

    https://uapi-group.org/specifications/specs/discoverable_partitions_specification: the first 128 bits are those of
    the data, the last 128 those of the hashes.
    """
    partitions = list(disk.partitions)
    for number, hashes in disk.hashes:
        root = sealed.roots[number]
        for one, digits in ((hashes.of, root[:32]), (number, root[-32:])):
            if partitions[one].uuid is None:
                partitions[one] = replace(partitions[one], uuid=_uuid(digits))
    return replace(disk, partitions=tuple(partitions))


def _uuid(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
