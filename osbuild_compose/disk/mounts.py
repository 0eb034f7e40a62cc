"""What is mounted where: the file systems of a disk, and its /etc/fstab."""

from collections.abc import Iterator
from typing import Any

from osbuild_compose.disk import verity
from osbuild_compose.disk.model import Partition, Subvolume


def volumes(partitions: tuple[Partition, ...]) -> tuple[Partition, ...]:
    """What can have a file system: the partitions, and logical volumes in place of those that they are in."""
    return tuple(volume for item in partitions for volume in (item.logical_volumes or (item,)))


def points(item: Partition) -> Iterator[tuple[str, Subvolume | None]]:
    """Where the partition's file system is mounted, and which subvolume of it there."""
    if item.mount:
        yield item.mount, None
    for volume in item.subvolumes:
        yield volume.mount, volume


def fstab(partitions: tuple[Partition, ...], dos_id: str | None = None) -> Iterator[dict[str, Any]]:
    """The entries of /etc/fstab, outer mount points before inner ones, swap last.

    dos_id: the eight digits that identify a DOS table, in which partitions have no names.
    """
    having = volumes(partitions)
    entries = [(point, item, volume) for item in having for point, volume in points(item)]
    for point, item, volume in sorted(entries, key=lambda entry: entry[0]):
        options = [item.options] if item.options else []
        if volume:
            options.append(f"subvol=/{volume.name}")
        if item.file_system == "vfat" and not item.options:
            options.append("umask=0077")
        if item.file_system in ("squashfs", "erofs") or item.verity:
            options.append("ro")
        source = {"uuid": item.uuid}
        if item.file_system == "squashfs":  # has none
            number = next((number for number, other in enumerate(partitions, 1) if other is item), 0)
            source = {"device": f"PARTUUID={dos_id}-{number:02x}"} if dos_id else {"partlabel": item.name}
        if item.verity or item.device:
            source = {"device": item.device or verity.device(point)}
        checked = item.file_system == "ext4" and not item.verity
        yield {
            **source,
            "path": point,
            "vfs_type": item.file_system,
            "options": ",".join(options) or "defaults",
            "freq": 1 if point == "/" and checked else 0,
            "passno": (1 if point == "/" else 2) if checked else 0,
        }
    for item in having:
        if item.file_system == "swap":
            yield {
                **({"device": item.device} if item.device else {"uuid": item.uuid}),
                "path": "none",
                "vfs_type": "swap",
                "options": item.options or "sw",
                "freq": 0,
                "passno": 0,
            }
