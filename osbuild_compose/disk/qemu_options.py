"""A disk as options of osbuild's own assembler, org.osbuild.qemu."""

from typing import Any

from osbuild_compose.disk.image_options import partitions
from osbuild_compose.disk.model import SECTOR, Layout, Partition, Table
from osbuild_compose.disk.types import PARTITION_TYPES, FileSystemType

_FILE_SYSTEMS = (None, FileSystemType.EXT4, FileSystemType.XFS, FileSystemType.BTRFS, FileSystemType.VFAT)


def options(layout: Layout) -> dict[str, Any] | None:
    """The options of org.osbuild.qemu for this disk, without format and filename; None when it cannot express it.

    It requires the size of the disk, and of each partition except the last, which takes the rest.
    """
    disk = layout.disk
    if disk.size is None or not _is_possible(layout):
        return None
    common = {"ptuuid": layout.uuid, "size": disk.size}
    only = layout.partitions[0]
    if disk.table is Table.DOS and len(layout.partitions) == 1 and _is_plain_root(only) and layout.has_bios_grub:
        return {**common, "ptuuid": layout.uuid if disk.uuid else "0x" + layout.uuid[:8], "root_fs_uuid": only.uuid}
    kind = "grub2" if layout.has_bios_grub else "none"
    items = [_partition(item, disk.table) for item in partitions(layout)]
    return {**common, "pttype": disk.table, "bootloader": {"type": kind}, "partitions": items}


def _is_possible(layout: Layout) -> bool:
    *others, last = layout.partitions
    return (
        layout.disk.sector_size == SECTOR
        and not any(item.subvolumes or item.verity or item.volume_group or item.luks for item in layout.partitions)
        and all(item.file_system in _FILE_SYSTEMS for item in layout.partitions)
        and all(item.size is not None for item in others)
        and (last.size is not None or bool(last.grow))
        and not any(value % SECTOR for item in layout.partitions for value in (item.size or 0, item.start or 0))
    )


def _is_plain_root(item: Partition) -> bool:
    is_root = item.mount == "/" and item.file_system is FileSystemType.EXT4
    return is_root and item.start is None and item.size is None and not item.label


def _partition(options: dict[str, Any], table: Table) -> dict[str, Any]:
    made: dict[str, Any] = {key: options[key] for key in ("bootable", "name", "uuid", "filesystem") if key in options}
    known = PARTITION_TYPES.get(options["type"])
    if known:
        made["type"] = known.dos if table is Table.DOS else known.guid
    else:
        made["type"] = options["type"]
    return made | {key: options[key] // SECTOR for key in ("start", "size") if key in options}
