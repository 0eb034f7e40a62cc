"""The file systems of a disk, and which of them make up the system."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from osbuild_compose.inspecting import file_systems, lvm
from osbuild_compose.inspecting.analysis.system import is_system
from osbuild_compose.inspecting.area import Area
from osbuild_compose.inspecting.file_systems import FileSystem
from osbuild_compose.inspecting.notes import Notes
from osbuild_compose.inspecting.partitions import Partition, PartitionTable
from osbuild_compose.inspecting.tools import Tools
from osbuild_compose.inspecting.tree import MAX_ENTRIES, Below, Joined, Kind, TooMuchError, Tree
from osbuild_compose.inspecting.trees import extracted
from osbuild_compose.inspecting.trees.archive import IsoTree
from osbuild_compose.inspecting.trees.ext import ExtTree
from osbuild_compose.inspecting.trees.squashfs import SquashfsTree
from osbuild_compose.inspecting.trees.xfs import XfsTree

_READERS: dict[str, Callable[[Area, Tools], Tree]] = {
    "ext2": ExtTree,
    "ext3": ExtTree,
    "ext4": ExtTree,
    "xfs": XfsTree,
    "btrfs": extracted.btrfs,
    "erofs": extracted.erofs,
    "vfat": extracted.fat,
    "squashfs": SquashfsTree,
    "iso9660": IsoTree,
}
# What holds no files that anybody could read from here.
_CLOSED = {
    "crypto_LUKS": "is encrypted (LUKS): what is in it cannot be told",
    "BitLocker": "is encrypted (BitLocker): what is in it cannot be told",
    "LVM2_member": "",  # what is in its volumes is told of these
    "linux_raid_member": "belongs to a RAID, which is not read",
    "DM_verity_hash": "",  # holds digests of another partition, and no files
    "swap": "",
}
_NO_FILES = ("BIOS boot", "extended", "extended (LBA)", "PReP boot", "PowerPC PReP boot")
_SUBVOLUME_DEPTH = 2
_MAX_MOUNTS = 100


@dataclass(frozen=True)
class Volume:
    """A file system and where it is; tree is None if it cannot be read. logical is the name of LVM's volume."""

    partition: Partition | None
    logical: str | None
    file_system: FileSystem
    tree: Tree | None

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return _place(self.partition, self.logical)


@dataclass(frozen=True)
class Mount:
    """A volume, or a directory of one, and where the system has it."""

    point: str
    volume: Volume


def volumes(disk: Area, table: PartitionTable | None, tools: Tools, notes: Notes) -> list[Volume]:
    """What is on the disk as a whole, and in its partitions."""
    found = []
    files = 0
    for volume in _each(disk, table, tools, notes):
        found.append(volume)
        files += len(volume.tree.entries) if volume.tree else 0
        if files > MAX_ENTRIES:  # partitions may all be the same one
            notes.add(f"the rest of the disk is not read: there are more than {MAX_ENTRIES} files already")
            break
    return found


def _each(disk: Area, table: PartitionTable | None, tools: Tools, notes: Notes) -> Iterator[Volume]:
    if table is None or disk.read(32769, 5) == b"CD001":
        yield from _volumes(disk, None, tools, notes)
    for partition in table.partitions if table else ():
        if partition.start + partition.size > disk.size:
            notes.add(f"partition {partition.number} ends beyond the disk: the image is cut off")
        area = disk.part(partition.start, partition.size)
        if partition.type_name not in _NO_FILES and area.size and partition.start > 0:
            yield from _volumes(area, partition, tools, notes)


def _place(partition: Partition | None, logical: str | None) -> str:
    if logical:
        return f"the volume {logical}"
    return f"partition {partition.number}" if partition else "the disk"


def _volumes(area: Area, partition: Partition | None, tools: Tools, notes: Notes) -> Iterator[Volume]:
    """What is in a partition: one file system, or LVM's volumes with one each."""
    first = _volume(area, partition, None, tools, notes)
    if first:
        yield first
    if first and first.file_system.type == "LVM2_member":
        with notes.instead_of_errors(f"LVM's volumes of {first.place}"):
            for one in lvm.volumes(area):
                if one.area is None:
                    notes.add(f"the volume {one.group}/{one.name} is in several pieces and not read")
                elif volume := _volume(one.area, partition, f"{one.group}/{one.name}", tools, notes):
                    yield volume


def _volume(area: Area, partition: Partition | None, logical: str | None, tools: Tools, notes: Notes) -> Volume | None:
    place = _place(partition, logical)
    known = tree = None
    with notes.instead_of_errors(place):
        known = file_systems.probe(area, tools)
        if known is None:
            notes.add(f"{place} has no file system that is known")
    if known is None:
        return None
    is_whole = partition is None or logical is not None or partition.size == area.size  # otherwise it is told already
    if known.size is not None and known.size > area.size and is_whole:
        several = ", or it is on several disks" if known.type == "btrfs" else ""
        notes.add(f"the {known.type} of {place} ends {known.size - area.size} bytes beyond it: it is cut off{several}")
    if _CLOSED.get(known.type):
        notes.add(f"{place} {_CLOSED[known.type]}")
    elif known.type not in (*_READERS, *_CLOSED):
        notes.add(f"{place} has a file system of the type {known.type}, which is not read")
    with notes.instead_of_errors(f"the files of {place} ({known.type})"):
        tree = _READERS[known.type](area, tools) if known.type in _READERS else None
    return Volume(partition, logical, known, tree)


def system(found: Sequence[Volume], notes: Notes) -> tuple[Tree | None, list[Mount]]:
    """The system's files, put together as its fstab says, and where its volumes are in it; None if there is none."""
    for volume in found:
        top = _root(volume)
        if top is None or volume.tree is None:
            continue
        root = Below(volume.tree, top) if top else volume.tree
        mounts = [Mount("/", volume)]
        trees = {"/": root}
        rows: list[tuple[str, str, str]] = []
        with notes.instead_of_errors("/etc/fstab"):
            rows = _fstab(root.text("/etc/fstab", 1024**2) or "")
        for device, point, options in rows:
            if len(mounts) > _MAX_MOUNTS or sum(len(tree.entries) for tree in trees.values()) > MAX_ENTRIES:
                raise TooMuchError("its fstab mounts more than fits into memory")
            other = next((one for one in found if one.tree and device in _names(one)), None)
            if other is None or other.tree is None or point in trees:
                continue
            subvolume = re.search(r"(?:^|,)subvol=/?([^,]*)", options)
            below = f"/{subvolume[1]}" if subvolume and subvolume[1] else ""
            if other.tree.resolve(below) == (below or "/"):
                trees[point] = Below(other.tree, below) if below else other.tree
                mounts.append(Mount(point, other))
        return Joined(trees) if len(trees) > 1 else root, mounts
    return None, []


def _root(volume: Volume) -> str | None:
    """The directory of the volume that is the root of a system: "" for its top, a subvolume; None if there is none."""
    if volume.tree is None:
        return None
    if is_system(volume.tree):
        return ""
    if volume.file_system.type != "btrfs":
        return None
    level = [""]
    for _ in range(_SUBVOLUME_DEPTH):
        paths = [f"{above}/{name}" for above in level for name in volume.tree.names(above or "/")]
        level = [path for path in paths if volume.tree.entries[path].kind is Kind.DIRECTORY]
        for path in level:
            if volume.tree.is_file(f"{path}/etc/passwd") and volume.tree.entries.get(f"{path}/usr"):
                return path
    return None


def _fstab(text: str) -> list[tuple[str, str, str]]:
    """Device, mount point and options of the lines of fstab(5) that mount something below /, outer ones first."""
    rows = [line.split() for line in text.splitlines() if not line.lstrip().startswith("#")]
    found = [(row[0], row[1].rstrip("/"), row[3] if len(row) > 3 else "") for row in rows if len(row) >= 2]
    return sorted((row for row in found if re.fullmatch(r"(/[^/]+)+", row[1])), key=lambda row: row[1])


def _names(volume: Volume) -> list[str]:
    """What fstab may call the volume."""
    names = [
        f"{key}={value}" for key, value in (("UUID", volume.file_system.uuid), ("LABEL", volume.file_system.label))
    ]
    if volume.logical:
        group, _, name = volume.logical.partition("/")
        mapped = "-".join(part.replace("-", "--") for part in (group, name))
        return [*names, f"/dev/{group}/{name}", f"/dev/mapper/{mapped}"]
    if volume.partition:
        names += [f"PARTUUID={volume.partition.uuid}", f"PARTLABEL={volume.partition.label}"]
    return [*names, f"/dev/disk/by-uuid/{volume.file_system.uuid}"]
