"""All partitions of a disk: the blueprint's, with what they leave open filled in, and those that booting needs."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from osbuild_compose.blueprint.values.size import MIB
from osbuild_compose.disk import uuids
from osbuild_compose.disk.model import Disk, Firmware, LogicalVolume, Partition, Table
from osbuild_compose.disk.partition_types import ESP_MOUNTS

BIOS_BOOT = Partition(type="bios-boot", size=MIB, name="bios")
ESP = Partition(type="esp", mount="/boot/efi", size=128 * MIB, name="esp")
# With the kernels themselves in it, it has to have room for some more of them later.
ESP_WITH_KERNELS = replace(ESP, size=512 * MIB)
ROOT = Partition(mount="/", name="root")

# Types by mount point: https://uapi-group.org/specifications/specs/discoverable_partitions_specification
TYPES = {
    **dict.fromkeys(ESP_MOUNTS, "esp"),
    "/boot": "xbootldr",
    "/home": "home",
    "/srv": "srv",
    "/var": "var",
}
ROOT_TYPES = {"x86_64": "root-x86-64"}
PROTECTED_USR_TYPES = {"x86_64": "usr-x86-64"}
Kind = TypeVar("Kind", bound=Partition)


def complete(disk: Disk, name: str, arch: str, firmware: tuple[Firmware, ...]) -> tuple[Partition, ...]:
    """The partitions of the blueprint `name`, in their order. firmware: what has to start the disk."""
    return tuple(
        _complete(item, number, name, arch, disk) for number, item in enumerate(_all(disk, disk.table, firmware))
    )


def _all(disk: Disk, table: Table, firmware: tuple[Firmware, ...]) -> Iterator[Partition]:
    """The blueprint's partitions, and those in front and behind that booting needs."""
    kinds = {item.type for item in disk.partitions} | {
        TYPES.get(mount) for item in disk.partitions for mount in item.mounts
    }
    if Firmware.BIOS in firmware and table is Table.GPT and "bios-boot" not in kinds:
        yield BIOS_BOOT
    if Firmware.UEFI in firmware and "esp" not in kinds:
        yield _esp(disk)
    yield from disk.partitions
    if not any("/" in item.mounts for item in disk.partitions):
        yield ROOT


def _esp(disk: Disk) -> Partition:
    """The EFI system partition that the blueprint leaves out."""
    if not disk.needs_uefi:
        return ESP
    # A FAT at /boot has a directory EFI for kernels, which it takes for /boot/efi.
    nested = any(item.mount == "/boot" and item.file_system == "vfat" for item in disk.partitions)
    return replace(ESP_WITH_KERNELS, mount="/efi") if nested else ESP_WITH_KERNELS


def _complete(item: Partition, number: int, name: str, arch: str, disk: Disk) -> Partition:
    """The partition with what it leaves open filled in."""
    if item.volume_group:
        return _complete_group(item, name, arch, disk)
    return _complete_one(item, number, name, arch, disk)


def _complete_group(item: Partition, name: str, arch: str, disk: Disk) -> Partition:
    def complete(volume: LogicalVolume, number: int) -> LogicalVolume:
        if volume.file_system and not volume.mount and volume.uuid is None:
            volume = replace(volume, uuid=uuids.uuid_for(name, f"{volume.group}/{volume.name} file system"))
        return _complete_one(volume, number, name, arch, disk)

    return replace(
        item,
        type=item.type or "lvm",
        name=item.name or item.volume_group,
        grow=item.grow if item.grow is not None else "/" in item.mounts and item.size is None,
        logical_volumes=tuple(complete(volume, number) for number, volume in enumerate(item.logical_volumes)),
    )


def _complete_one(item: Kind, number: int, name: str, arch: str, disk: Disk) -> Kind:
    table = disk.table
    kind = item.type or _type(item, arch)
    if item.type is None and kind == "xbootldr" and item.file_system != "vfat" and disk.needs_uefi:
        kind = "linux"  # bootctl and kernel-install would put kernels where firmware cannot read them
    file_system = item.file_system
    if file_system is None and (item.mounts or kind == "swap"):
        file_system = "btrfs" if item.subvolumes else {"esp": "vfat", "swap": "swap"}.get(kind, "ext4")
    role = _role(item) or f"{kind} {number + 1}"
    is_root = "/" in item.mounts
    grow = item.grow if item.grow is not None else is_root and item.size is None and not item.verity
    uuid = item.uuid
    if uuid is None and file_system:
        uuid = uuids.volume_id_for(name, role) if file_system == "vfat" else uuids.uuid_for(name, f"{role} file system")
    boots = item.bootable if item.bootable is not None else table is Table.DOS and is_root and not _has_boot(disk)
    return replace(
        item,
        type=kind,
        file_system=file_system,
        grow=grow,
        uuid=uuid,
        name=item.name or _role(item).strip("/").replace("/", "-") or kind,
        bootable=boots or (item.bootable is None and table is Table.DOS and "/boot" in item.mounts),
        partition_uuid=item.partition_uuid,
    )


def _type(item: Partition, arch: str) -> str:
    if "/" in item.mounts:
        return ROOT_TYPES.get(arch, "linux")
    if item.verity and item.mount == "/usr":
        return PROTECTED_USR_TYPES.get(arch, "linux")
    return TYPES.get(next(iter(item.mounts), ""), "linux")


def _has_boot(disk: Disk) -> bool:
    return any("/boot" in item.mounts for item in disk.partitions)


def _role(item: Partition) -> str:
    """What it is, in a word that tells it from others, for identifiers that follow from the blueprint's name."""
    if "/" in item.mounts:
        return "root"
    return next(iter(item.mounts), None) or item.name or ""
