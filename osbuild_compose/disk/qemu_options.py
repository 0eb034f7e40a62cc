"""A disk as the assembler org.osbuild.qemu takes it, which stock osbuild has too."""

from typing import Any

from osbuild_compose.disk.layout import SECTOR, Layout
from osbuild_compose.disk.model import Partition, Table
from osbuild_compose.disk.partition_types import DOS, DOS_LINUX, GUIDS


def options(layout: Layout) -> dict[str, Any] | None:
    """The options of org.osbuild.qemu for this disk, without format and filename; None when it cannot express it.

    Its disks have a size; partitions have one too, but the last, which takes the rest.
    """
    disk = layout.disk
    if disk.size is None or not _is_qemu(layout):
        return None
    common = {"ptuuid": layout.options["uuid"], "size": disk.size}
    only = layout.partitions[0]
    if layout.table is Table.DOS and len(layout.partitions) == 1 and _plain(only) and layout.options.get("bios_grub"):
        ptuuid = layout.options["uuid"] if disk.uuid else "0x" + layout.options["uuid"][:8]
        return {**common, "ptuuid": ptuuid, "root_fs_uuid": only.uuid}
    kind = "grub2" if layout.options.get("bios_grub") else "none"
    items = [_qemu_partition(item, layout.table) for item in layout.options["partitions"]]
    return {**common, "pttype": layout.table, "bootloader": {"type": kind}, "partitions": items}


def _is_qemu(layout: Layout) -> bool:
    partitions, last = layout.partitions, layout.partitions[-1]
    return (
        layout.disk.sector_size == SECTOR
        and not any(
            item.subvolumes
            or item.verity
            or item.volume_group
            or item.luks
            or item.file_system in ("swap", "squashfs", "erofs")
            for item in partitions
        )
        and all(item.size is not None for item in partitions[:-1])
        and (last.size is not None or bool(last.grow))
        and not any(value % SECTOR for item in partitions for value in (item.size or 0, item.start or 0))
    )


def _plain(partition: Partition) -> bool:
    is_root = partition.mount == "/" and partition.file_system == "ext4"
    return is_root and partition.start is None and partition.size is None and not partition.label


def _qemu_partition(options: dict[str, Any], table: Table) -> dict[str, Any]:
    kind = options["type"]
    dos = DOS.get(kind, DOS_LINUX if kind in GUIDS else kind)
    made: dict[str, Any] = {key: options[key] for key in ("bootable", "name", "uuid", "filesystem") if key in options}
    made["type"] = dos if table is Table.DOS else GUIDS.get(kind, kind)
    made |= {key: options[key] // SECTOR for key in ("start", "size") if key in options}
    return made
