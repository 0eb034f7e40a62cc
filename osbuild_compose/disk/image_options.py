"""A disk as options of the assembler org.osbuild-compose.image."""

from collections.abc import Mapping
from typing import Any

from osbuild_compose.disk import mounts, uuids
from osbuild_compose.disk.model import SECTOR, Bootloader, Layout, LogicalVolume, Partition


def options(layout: Layout) -> dict[str, Any]:
    """The assembler's option `disk`."""
    disk = layout.disk
    made: dict[str, Any] = {"table": disk.table, "uuid": layout.uuid, "partitions": partitions(layout)}
    if disk.sector_size != SECTOR:
        made["sector_size"] = disk.sector_size
    if disk.size is not None:
        made["size"] = disk.size
    made["free"] = disk.free
    if layout.has_bios_grub:
        made["bios_grub"] = True
    if files := _root_hash_files(layout):
        made["root_hash_files"] = files
    return made


def passphrases(layout: Layout) -> Mapping[str, str]:
    """The passphrases of encrypted partitions, by their names in the options."""
    return {_passphrase(layout, item): item.luks.passphrase for item in layout.partitions if item.luks}


def partitions(layout: Layout) -> list[dict[str, Any]]:
    """The partitions as the options list them."""
    return [_partition(item, layout) for item in layout.partitions]


def _partition(item: Partition, layout: Layout) -> dict[str, Any]:
    name = layout.blueprint
    made: dict[str, Any] = {"type": item.type, "name": item.name}
    made |= {} if item.partition_uuid is None else {"uuid": item.partition_uuid}
    made |= _sizes(item, "start", "size", "minimum")
    made |= {key: True for key in ("grow", "bootable") if getattr(item, key)}
    if item.file_system:
        made["filesystem"] = _file_system(item)
    if item.luks:
        made["luks"] = {"uuid": mounts.luks_uuid(layout, item), "passphrase": _passphrase(layout, item)}
    if item.hashes:
        hashes = item.hashes
        filename = f"{layout.file_name or layout.blueprint}{hashes.extension}"
        made["hashes"] = {"of": hashes.of + 1, "uuid": hashes.uuid, "salt": hashes.salt, "filename": filename}
    if item.volume_group:
        made["lvm"] = {
            "name": item.volume_group,
            "uuid": uuids.uuid_for(name, f"volume group {item.volume_group}"),
            "pv_uuid": uuids.uuid_for(name, f"physical volume of {item.volume_group}"),
            "volumes": [_logical_volume(volume, name) for volume in item.logical_volumes],
        }
    return made


def _logical_volume(item: LogicalVolume, name: str) -> dict[str, Any]:
    made: dict[str, Any] = {"name": item.name, "uuid": uuids.uuid_for(name, f"logical volume {item.group}/{item.name}")}
    made |= _sizes(item, "size", "minimum")
    made |= {"grow": True} if item.grow else {}
    return made | ({"filesystem": _file_system(item)} if item.file_system else {})


def _sizes(item: Partition, *keys: str) -> dict[str, Any]:
    return {key: value for key in keys if (value := getattr(item, key)) is not None}


def _file_system(item: Partition) -> dict[str, Any]:
    made: dict[str, Any] = {"type": item.file_system, "uuid": item.uuid}
    for key, text in (("label", item.label), ("mountpoint", item.mount), ("compression", item.compression)):
        if text is not None:
            made[key] = text
    if item.subvolumes:
        made["subvolumes"] = [{"name": volume.name, "mountpoint": volume.mount} for volume in item.subvolumes]
    return made


def _passphrase(layout: Layout, item: Partition) -> str:
    return f"{layout.blueprint}/{item.luks_name}"


def _root_hash_files(layout: Layout) -> list[str]:
    """The files in the image that contain placeholders of root hashes."""
    made = [mounts.VERITYTAB] if mounts.veritytab(layout) else []
    if not layout.sealed or not layout.kernels:
        return made
    if not layout.disk.uki:
        made.append(f"{layout.kernels}/loader/entries/*.conf")
    elif layout.disk.bootloader is Bootloader.SYSTEMD_BOOT:
        made.append(f"{layout.kernels}/EFI/Linux/*.efi")
    else:
        made.append(f"{layout.kernels}/EFI/BOOT/BOOT*.EFI")
    # kernel-install makes boot entries from this file. If / itself is verified, the file cannot contain its hash.
    return made if "/" in layout.sealed else [*made, "/etc/kernel/cmdline"]
