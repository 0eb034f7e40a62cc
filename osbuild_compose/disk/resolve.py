"""Completes a blueprint's disk to a layout: fills in defaults, and adds what booting needs."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from osbuild_compose.blueprint.values.size import MIB
from osbuild_compose.disk import types, uuids
from osbuild_compose.disk.model import (
    ROOT_HASH_ARGUMENTS,
    SECTOR,
    Disk,
    Firmware,
    Hashes,
    Layout,
    LogicalVolume,
    Partition,
    Table,
)
from osbuild_compose.disk.types import FileSystemType

ESP_SIZE = 128 * MIB
ESP_WITH_KERNELS_SIZE = 512 * MIB  # room for several kernels

FROM_NAME = "derived from the blueprint's name"

_Volume = TypeVar("_Volume", bound=Partition)


def resolve(disk: Disk, name: str, architecture: str, firmware: tuple[Firmware, ...]) -> Layout:
    """The layout of the disk of the blueprint `name`. firmware: what the distribution's images boot with."""
    key = (name, architecture, firmware)
    if key not in disk.layouts:
        disk.layouts[key] = _resolve(disk, name, architecture, firmware)
    return disk.layouts[key]


def _resolve(disk: Disk, name: str, architecture: str, firmware: tuple[Firmware, ...]) -> Layout:
    reasons = {"firmware": "what the distribution boots with", "uuid": FROM_NAME}
    used = disk.firmware or firmware
    if not disk.firmware and (disk.sector_size != SECTOR or disk.needs_uefi):
        used, reasons["firmware"] = (Firmware.UEFI,), "only UEFI boots from such a disk"
    elif not disk.firmware and disk.table is Table.DOS:
        used, reasons["firmware"] = (Firmware.BIOS,), "a DOS partition table is for BIOS"
    complete = _Completion(disk, name, architecture)
    wanted = _added(disk, used if disk.boots else ())
    partitions = _with_hashes((complete(item, number) for number, item in enumerate(wanted)), name)
    return Layout(name, disk, disk.uuid or uuids.table_uuid_for(name), used, partitions, reasons)


def _added(disk: Disk, firmware: tuple[Firmware, ...]) -> list[Partition]:
    """The blueprint's partitions, with those that booting needs before and after them."""
    mounts = {mount for item in disk.partitions for mount in item.mounts}
    kinds = {item.type for item in disk.partitions}
    front = []
    if Firmware.BIOS in firmware and disk.table is Table.GPT and "bios-boot" not in kinds:
        reasons = {"": "GRUB needs it to start by BIOS from a GPT"}
        front.append(Partition(type="bios-boot", size=MIB, name="bios", reasons=reasons))
    esp_mounts = types.PARTITION_TYPES["esp"].mounts
    if Firmware.UEFI in firmware and "esp" not in kinds and mounts.isdisjoint(esp_mounts):
        # On a FAT at /boot, the directory EFI with the kernels has the same name as /boot/efi.
        mount = "/efi" if disk.needs_uefi and disk.fat_boot else "/boot/efi"
        size = ESP_WITH_KERNELS_SIZE if disk.needs_uefi else ESP_SIZE
        front.append(Partition(type="esp", mount=mount, size=size, name="esp", reasons={"": "UEFI starts from it"}))
    root = [] if "/" in mounts else [Partition(mount="/", name="root", reasons={"": "every system has one"})]
    return [*front, *disk.partitions, *root]


@dataclass
class _Completion:
    """Fills in missing values. Called with a partition and its number from 0."""

    disk: Disk
    blueprint: str
    architecture: str

    def __call__(self, item: Partition, number: int) -> Partition:
        if not item.volume_group:
            return self._volume(item, number)
        volumes = tuple(self._logical(volume, index) for index, volume in enumerate(item.logical_volumes))
        return _filled(
            replace(item, logical_volumes=volumes),
            type=("lvm", "it has a volume group"),
            name=(item.volume_group, "called after its volume group"),
            grow=_grow(item),
        )

    def _logical(self, volume: LogicalVolume, number: int) -> LogicalVolume:
        if volume.file_system and not volume.mount:
            uuid = uuids.uuid_for(self.blueprint, f"{volume.group}/{volume.name} file system")
            volume = _filled(volume, uuid=(uuid, FROM_NAME))
        return self._volume(volume, number)

    def _volume(self, item: _Volume, number: int) -> _Volume:
        item = _filled(item, type=self._type(item))
        item = _filled(item, file_system=_file_system(item))
        role = _role(item) or f"{item.type} {number + 1}"
        uuid = None
        if item.file_system is FileSystemType.VFAT:
            uuid = uuids.volume_id_for(self.blueprint, role)
        elif item.file_system:
            uuid = uuids.uuid_for(self.blueprint, f"{role} file system")
        name = _role(item).strip("/").replace("/", "-")
        return _filled(
            item,
            uuid=(uuid, FROM_NAME),
            name=(name, "called after its mount point") if name else (item.type, "called after its type"),
            grow=_grow(item),
            bootable=self._bootable(item),
        )

    def _type(self, item: Partition) -> tuple[str, str]:
        """The type for its mount point, and the reason for it."""
        mount = "/" if "/" in item.mounts else next(iter(item.mounts), "")
        kind = types.type_for_mount(mount, self.architecture)
        if kind == "xbootldr" and item.file_system is not FileSystemType.VFAT and self.disk.needs_uefi:
            return "linux", "boot loaders would put kernels where firmware cannot read them"
        if mount == "/usr" and not item.verity:
            return "linux", "only a /usr with dm-verity has a type of its own"
        return kind, f"mounted at {mount}" if mount else "no other type fits"

    def _bootable(self, item: Partition) -> tuple[bool, str]:
        """Whether it is marked as active in a DOS table, and the reason."""
        if self.disk.table is not Table.DOS:
            return False, "default"
        marked = "/boot" if any("/boot" in other.mounts for other in self.disk.partitions) else "/"
        is_marked = marked in item.mounts
        return is_marked, "BIOS boots from it" if is_marked else "default"


def _filled(item: _Volume, **defaults: tuple[Any, str]) -> _Volume:
    """The item with these values, each with its reason, in fields that have none yet."""
    open_ones = {key: default for key, default in defaults.items() if getattr(item, key) is None}
    reasons = {key: why for key, (_, why) in open_ones.items()}
    return replace(item, **{key: value for key, (value, _) in open_ones.items()}, reasons={**reasons, **item.reasons})


def _file_system(item: Partition) -> tuple[FileSystemType | None, str]:
    """The default file system by the mount point, and the reason for it."""
    if item.subvolumes and item.mounts:
        return FileSystemType.BTRFS, "only btrfs has subvolumes"
    if item.type == "swap":
        return FileSystemType.SWAP, "it is swap space"
    if not item.mounts:
        return None, "it is not mounted"
    return (
        (FileSystemType.VFAT, "firmware reads nothing else") if item.type == "esp" else (FileSystemType.EXT4, "default")
    )


def _grow(item: Partition) -> tuple[bool, str]:
    """Whether it takes the remaining space of the disk, and the reason."""
    is_root = "/" in item.mounts and item.size is None and not item.verity
    return is_root, "the root file system takes what is left of the disk" if is_root else "default"


def _role(item: Partition) -> str:
    """The role of the partition on its disk, from which its identifiers are derived."""
    if "/" in item.mounts:
        return "root"
    return next(iter(item.mounts), None) or item.name or ""


def _with_hashes(partitions: Iterable[Partition], name: str) -> tuple[Partition, ...]:
    """All partitions: those of a GPT get identifiers, and a protected one is followed by its dm-verity hashes."""
    made: list[Partition] = []
    for item in partitions:
        follows = item.verity and item.mount in ROOT_HASH_ARGUMENTS  # the UUID, from the root hash
        derived = None if follows else uuids.uuid_for(name, f"partition {item.name} {len(made) + 1}")
        made.append(replace(item, partition_uuid=item.partition_uuid or derived))
        if item.verity:
            made.append(_hashes(item, len(made), name))
    return tuple(made)


def _hashes(item: Partition, number: int, name: str) -> Partition:
    """The partition with the hashes of `item`, which has the number `number` from 1."""
    mount, kind = item.mount or "", types.PARTITION_TYPES.get(item.type or "")
    own = f"{item.name}-verity"[:36]
    in_initramfs = mount in ROOT_HASH_ARGUMENTS
    return Partition(
        type=(kind and kind.hashes) or "linux",
        name=own,
        partition_uuid=None if in_initramfs else uuids.uuid_for(name, f"partition {own} {number + 1}"),
        hashes=Hashes(
            of=number - 1,
            uuid=uuids.uuid_for(name, f"{mount} verity"),
            salt=hashlib.sha256(uuids.uuid_for(name, f"{mount} verity salt").encode()).hexdigest(),
            # The name that systemd-nspawn(1) expects beside an image.
            extension=f".{ROOT_HASH_ARGUMENTS.get(mount) or f'{item.verity_name}.roothash'}",
        ),
        reasons={"": f"dm-verity needs hashes of {mount}"},
    )
