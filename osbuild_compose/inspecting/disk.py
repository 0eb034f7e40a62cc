"""The file systems of a disk, and how they make up the system's tree."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from osbuild_compose.inspecting import file_systems, lvm
from osbuild_compose.inspecting.analysis.system import is_system
from osbuild_compose.inspecting.extent import Extent
from osbuild_compose.inspecting.file_systems import FileSystem
from osbuild_compose.inspecting.partitions import Partition, PartitionTable
from osbuild_compose.inspecting.tools import Tools
from osbuild_compose.inspecting.tree import MAX_ENTRIES, FileType, MountedTrees, Subtree, TooMuchError, Tree
from osbuild_compose.inspecting.trees import directory
from osbuild_compose.inspecting.trees.archive import IsoTree
from osbuild_compose.inspecting.trees.by_inode import ExtTree, XfsTree
from osbuild_compose.inspecting.trees.squashfs import SquashfsTree
from osbuild_compose.inspecting.warnings import Warnings

_READERS: dict[str, Callable[[Extent, Tools], Tree]] = {
    "ext2": ExtTree,
    "ext3": ExtTree,
    "ext4": ExtTree,
    "xfs": XfsTree,
    "btrfs": directory.btrfs,
    "erofs": directory.erofs,
    "vfat": directory.fat,
    "squashfs": SquashfsTree,
    "iso9660": IsoTree,
}
# Types whose files cannot be read here, and what the warning about them says, if there is one.
_CLOSED = {
    "crypto_LUKS": "is encrypted (LUKS): its content cannot be read",
    "BitLocker": "is encrypted (BitLocker): its content cannot be read",
    "LVM2_member": "",  # its volumes are read one by one
    "linux_raid_member": "belongs to a RAID, which is not read",
    "DM_verity_hash": "",  # digests of another partition
    "swap": "",
}
_NO_FILES = ("BIOS boot", "extended", "extended (LBA)", "PReP boot", "PowerPC PReP boot")
_SUBVOLUME_DEPTH = 2
_MAX_MOUNTS = 100


@dataclass(frozen=True)
class Volume:
    """A file system and where it is. logical is the name of its logical volume; tree is None if it cannot be read."""

    partition: Partition | None
    logical: str | None
    file_system: FileSystem
    tree: Tree | None

    @property
    def place(self) -> str:
        """Where the file system is, in words."""
        return _place(self.partition, self.logical)


@dataclass(frozen=True)
class Mount:
    """A mount of the system: a volume, or a directory of one, and its mount point."""

    point: str
    volume: Volume


def volumes(disk: Extent, table: PartitionTable | None, tools: Tools, warnings: Warnings) -> list[Volume]:
    """The file systems on the disk as a whole, and in its partitions."""
    found = []
    files = 0
    for volume in _each(disk, table, tools, warnings):
        found.append(volume)
        files += len(volume.tree.entries) if volume.tree else 0
        if files > MAX_ENTRIES:  # all partitions may be at the same place
            warnings.add(f"the rest of the disk is not read: there are more than {MAX_ENTRIES} files already")
            break
    return found


def _each(disk: Extent, table: PartitionTable | None, tools: Tools, warnings: Warnings) -> Iterator[Volume]:
    if table is None or disk.read(32769, 5) == b"CD001":
        yield from _volumes(disk, None, tools, warnings)
    for partition in table.partitions if table else ():
        if partition.start + partition.size > disk.size:
            warnings.add(f"partition {partition.number} ends beyond the disk: the image is cut off")
        extent = disk.part(partition.start, partition.size)
        if partition.type_name not in _NO_FILES and extent.size and partition.start > 0:
            yield from _volumes(extent, partition, tools, warnings)


def _place(partition: Partition | None, logical: str | None) -> str:
    if logical:
        return f"the volume {logical}"
    return f"partition {partition.number}" if partition else "the disk"


def _volumes(extent: Extent, partition: Partition | None, tools: Tools, warnings: Warnings) -> Iterator[Volume]:
    """The file systems in a partition: one, or one in each of LVM's volumes."""
    first = _volume(extent, partition, None, tools, warnings)
    if first:
        yield first
    if first and first.file_system.type == "LVM2_member":
        with warnings.instead_of_errors(f"LVM's volumes of {first.place}"):
            for one in lvm.volumes(extent):
                if one.extent is None:
                    warnings.add(f"the volume {one.group}/{one.name} is not contiguous and is not read")
                elif volume := _volume(one.extent, partition, f"{one.group}/{one.name}", tools, warnings):
                    yield volume


def _volume(
    extent: Extent, partition: Partition | None, logical: str | None, tools: Tools, warnings: Warnings
) -> Volume | None:
    """The file system that fills the extent; None if it is not known."""
    place = _place(partition, logical)
    known = tree = None
    with warnings.instead_of_errors(place):
        known = file_systems.probe(extent, tools)
        if known is None:
            warnings.add(f"{place} has no known file system")
    if known is None:
        return None
    # A partition that is cut off has a warning of its own.
    is_whole = partition is None or logical is not None or partition.size == extent.size
    if known.size is not None and known.size > extent.size and is_whole:
        several = ", or it spans several disks" if known.type == "btrfs" else ""
        warnings.add(
            f"the {known.type} of {place} ends {known.size - extent.size} bytes beyond it: it is cut off{several}"
        )
    if _CLOSED.get(known.type):
        warnings.add(f"{place} {_CLOSED[known.type]}")
    elif known.type not in (*_READERS, *_CLOSED):
        warnings.add(f"{place} has a file system of type {known.type}, which is not supported")
    with warnings.instead_of_errors(f"the files of {place} ({known.type})"):
        tree = _READERS[known.type](extent, tools) if known.type in _READERS else None
    return Volume(partition, logical, known, tree)


def system(found: Sequence[Volume], warnings: Warnings) -> tuple[Tree | None, list[Mount]]:
    """The tree of the system, mounted as its fstab says, and its mounts; None if there is no system.

    Raises TooMuchError.
    """
    for volume in found:
        top = _root(volume)
        if top is None or volume.tree is None:
            continue
        root = Subtree(volume.tree, top) if top else volume.tree
        mounts = [Mount("/", volume)]
        trees = {"/": root}
        rows: list[tuple[str, str, str]] = []
        with warnings.instead_of_errors("/etc/fstab"):
            rows = _fstab(root.text("/etc/fstab", 1024**2) or "")
        for device, point, options in rows:
            if len(mounts) > _MAX_MOUNTS or sum(len(tree.entries) for tree in trees.values()) > MAX_ENTRIES:
                raise TooMuchError("its fstab mounts more files than fit into memory")
            other = next((one for one in found if one.tree and device in _names(one)), None)
            if other is None or other.tree is None or point in trees:
                continue
            subvolume = re.search(r"(?:^|,)subvol=/?([^,]*)", options)
            below = f"/{subvolume[1]}" if subvolume and subvolume[1] else ""
            if other.tree.resolve(below) == (below or "/"):
                trees[point] = Subtree(other.tree, below) if below else other.tree
                mounts.append(Mount(point, other))
        return MountedTrees(trees) if len(trees) > 1 else root, mounts
    return None, []


def _root(volume: Volume) -> str | None:
    """The directory of the volume that is a system's root: "" for its top, or a subvolume; None if there is none."""
    if volume.tree is None:
        return None
    if is_system(volume.tree):
        return ""
    if volume.file_system.type != "btrfs":
        return None
    level = [""]
    for _ in range(_SUBVOLUME_DEPTH):
        paths = [f"{above}/{name}" for above in level for name in volume.tree.names(above or "/")]
        level = [path for path in paths if volume.tree.entries[path].kind is FileType.DIRECTORY]
        for path in level:
            if volume.tree.is_file(f"{path}/etc/passwd") and volume.tree.entries.get(f"{path}/usr"):
                return path
    return None


def _fstab(text: str) -> list[tuple[str, str, str]]:
    """Device, mount point and options of the entries of an fstab(5) below /, outer mount points first."""
    rows = [line.split() for line in text.splitlines() if not line.lstrip().startswith("#")]
    found = [(row[0], row[1].rstrip("/"), row[3] if len(row) > 3 else "") for row in rows if len(row) >= 2]
    return sorted((row for row in found if re.fullmatch(r"(/[^/]+)+", row[1])), key=lambda row: row[1])


def _names(volume: Volume) -> list[str]:
    """The names that an fstab may have for the volume."""
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
