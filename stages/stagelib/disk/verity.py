"""Partitions that dm-verity protects, and those with their hashes, made in plain files by veritysetup(8).

A root hash is known only when the file system is whole, and the rest of the disk may depend on it: these partitions
are made before all others, in files of their own.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from stagelib.disk import layout, planner, tools
from stagelib.disk.fillings import Filling
from stagelib.disk.planner import Place
from stagelib.disk.root_hashes import Copies

BLOCK = 4096


@dataclass(frozen=True)
class Sealed:
    """Partitions that are made: the files to copy into their places, and the root hashes, both by their numbers.

    roots has the hashes by the number of the partition with the hashes.
    """

    files: Mapping[int, str]
    roots: Mapping[int, str]


def seal(disk: layout.Disk, fillings: Mapping[int, Filling], copies: Copies, work: str) -> Sealed:
    """Make the protected file systems among `fillings` and their hashes, in files in the directory `work`.

    What is mounted deepest is made first, and its root hash written into `copies`, from which the others are made.
    """
    files: dict[int, str] = {}
    roots: dict[int, str] = {}
    known: dict[str, str] = {}
    for number, hashes in sorted(disk.hashes, key=lambda one: _mountpoint(disk, one[1]), reverse=True):
        data, own = (os.path.join(work, f"{kind}-{number + 1}") for kind in ("data", "hashes"))
        _make(disk, hashes.of, fillings[hashes.of], data)
        roots[number] = _hash(hashes, data, own)
        files |= {hashes.of: data, number: own}
        known[_mountpoint(disk, hashes)] = roots[number]
        copies.fill(known)
    return Sealed(files, roots)


def _mountpoint(disk: layout.Disk, hashes: layout.Hashes) -> str:
    """Where what the hashes are of is mounted. What is below another directory sorts behind it."""
    return next(iter(disk.partitions[hashes.of].mountpoints), "")


def _make(disk: layout.Disk, number: int, filling: Filling, path: str) -> None:
    """Make the file system in the new file `path`, which is as large as its partition will be."""
    need = filling.least() if disk.partitions[number].size is not None else filling.need(0)
    size = planner.least(disk, number, need)
    with open(path, "wb") as file:  # noqa: PTH123
        file.truncate(size)
    filling.write(path, Place(0, size))


def _hash(hashes: layout.Hashes, data: str, path: str) -> str:
    """Write the hashes of the file `data` into the new file `path`; returns the root hash."""
    root = f"{path}.root"
    argv = ["veritysetup", "format", "--hash=sha256", f"--data-block-size={BLOCK}", f"--hash-block-size={BLOCK}"]
    tools.run([*argv, f"--salt={hashes.salt}", f"--uuid={hashes.uuid}", f"--root-hash-file={root}", data, path])
    with open(root, encoding="ascii") as file:  # noqa: PTH123
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
