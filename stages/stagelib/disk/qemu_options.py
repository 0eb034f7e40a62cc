"""The options of org.osbuild.qemu, as in osbuild since 2019, converted to a disk layout."""

import uuid
from collections.abc import Mapping
from typing import Any

from stagelib.disk import layout
from stagelib.disk.raw_disk import Loader
from stagelib.disk.sizes import MIB, human
from stagelib.errors import StageError

SECTOR = 512  # the unit of `start` and `size` of partitions
FIRST = 2048 * SECTOR


def disk(options: Mapping[str, Any]) -> layout.Disk:
    """The disk that the options describe. Raises StageError."""
    size = options["size"]
    if size % SECTOR != 0:
        raise StageError(f"size {size} is not a multiple of {SECTOR} bytes")
    if size < FIRST + MIB:
        raise StageError(f"a disk of {human(size)} is too small for a partition table and a file system")
    table = {"mbr": "dos"}.get(options.get("pttype", "dos"), options.get("pttype", "dos"))
    if "root_fs_uuid" in options:
        root = layout.FileSystem(options.get("root_fs_type", "ext4"), options["root_fs_uuid"], mountpoint="/")
        partitions: tuple[layout.Partition, ...] = (
            layout.Partition("linux", "root", bootable=True, size=size - FIRST, file_system=root),
        )
    else:
        partitions = tuple(_partition(item, number, options) for number, item in enumerate(options["partitions"]))
    made = layout.Disk(table, options["ptuuid"], partitions, size=size)
    layout.check(made)
    return made


def _partition(item: Mapping[str, Any], number: int, options: Mapping[str, Any]) -> layout.Partition:
    fs = item.get("filesystem")
    last = number == len(options["partitions"]) - 1
    own = uuid.uuid5(uuid.UUID(identity(options)), f"partition {number + 1}")
    return layout.Partition(
        type=item.get("type", "linux"),
        name=item.get("name", ""),
        uuid=item.get("uuid", str(own)),
        bootable=item.get("bootable", False),
        start=item["start"] * SECTOR if "start" in item else None,
        size=item["size"] * SECTOR if "size" in item else None,
        grow=last and "size" not in item,
        file_system=layout.file_system(fs) if fs else None,
    )


def loader(options: Mapping[str, Any]) -> Loader:
    """The boot loader: by default GRUB on a DOS table, none on a GPT."""
    kind = options.get("bootloader", {}).get("type", "none" if options.get("pttype") == "gpt" else "grub2")
    return Loader(bios_grub=kind == "grub2")


def identity(options: Mapping[str, Any]) -> str:
    """The UUID from which further identifiers are derived: the root file system's, or one from the table's."""
    if "root_fs_uuid" in options:
        return str(options["root_fs_uuid"])
    return str(uuid.uuid5(uuid.NAMESPACE_OID, options["ptuuid"]))
