"""From a blueprint's disk to all its partitions, each with identifiers, type and size, as an assembler takes them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from osbuild_compose.blueprint.disk import Bootloader, Disk, Firmware, LogicalVolume, Partition, Subvolume, Table
from osbuild_compose.blueprint.partition_types import GUIDS
from osbuild_compose.compile import identity, luks, verity

MIB = 1024 * 1024
SECTOR = 512
BIOS_BOOT = Partition(type="bios-boot", size=MIB, name="bios")
ESP = Partition(type="esp", mount="/boot/efi", size=128 * MIB, name="esp")
# With the kernels themselves in it, it has to have room for some more of them later.
ESP_WITH_KERNELS = replace(ESP, size=512 * MIB)
ROOT = Partition(mount="/", name="root")

# Types by mount point: https://uapi-group.org/specifications/specs/discoverable_partitions_specification
TYPES = {"/boot/efi": "esp", "/efi": "esp", "/boot": "xbootldr", "/home": "home", "/srv": "srv", "/var": "var"}
ROOT_TYPES = {"x86_64": "root-x86-64"}
Kind = TypeVar("Kind", bound=Partition)
NEED_NAMES = {"btrfs": "btrfs-progs", "xfs": "xfsprogs"}  # what the image needs to check and mount them at boot


@dataclass(frozen=True)
class Layout:
    """A disk with nothing left open. What an assembler takes is in `options`; `partitions` are those of the disk."""

    disk: Disk
    table: Table
    firmware: tuple[Firmware, ...]
    partitions: tuple[Partition, ...]
    options: dict[str, Any]
    file_systems: tuple[dict[str, Any], ...]
    veritytab: str = ""
    crypttab: str = ""

    def holding(self, path: str) -> tuple[Partition, str]:
        """The partition or logical volume whose file system has `path`, and the path's name in there ("" for its top).

        Raises ValueError when none has it.
        """
        found = [
            (point, partition, f"/{volume.name}" if volume else "")
            for partition in _volumes(self.partitions)
            for point, volume in _points(partition)
            if point in ("/", path) or path.startswith(f"{point}/")
        ]
        point, partition, prefix = max(found, key=lambda item: len(item[0]))
        return partition, (prefix + "/" + path.removeprefix(point).lstrip("/")).rstrip("/")

    @property
    def esp(self) -> str | None:
        """Where the EFI system partition is mounted, if there is one."""
        found = (item.mount for item in self.partitions if item.type in ("esp", "ef", GUIDS["esp"]))
        return next(found, None)

    @property
    def kernels(self) -> str | None:
        """Where the file system is mounted from which a boot loader that reads FAT only takes kernels."""
        boot = next((item for item in self.partitions if item.mount == "/boot" and item.file_system == "vfat"), None)
        return "/boot" if boot and boot.type in ("xbootldr", GUIDS["xbootldr"]) else self.esp

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages that the image needs for its file systems, called the same by all distributions."""
        kinds = {partition.file_system for partition in _volumes(self.partitions)}
        return tuple(package for kind, package in NEED_NAMES.items() if kind in kinds)

    @property
    def features(self) -> tuple[str, ...]:
        """What else the image has to know to use its disk; distributions have different packages for it."""
        found = {
            "verity": any(partition.verity for partition in self.partitions),
            "lvm": any(partition.volume_group for partition in self.partitions),
            "luks": bool(self.crypttab),
            "luks_root": any(partition.luks and "/" in partition.mounts for partition in self.partitions),
        }
        return tuple(feature for feature, used in found.items() if used)

    @property
    def root_volume(self) -> str | None:
        """The logical volume that / is on, as LVM's programs take it: group/volume."""
        root, _ = self.holding("/")
        return f"{root.group}/{root.name}" if isinstance(root, LogicalVolume) else None


def resolve(disk: Disk, name: str, arch: str, firmware: tuple[Firmware, ...]) -> Layout:
    """The disk of the blueprint `name`. firmware: what the distribution's images boot with."""
    table = disk.table
    wanted = disk.firmware or ((Firmware.BIOS,) if table is Table.DOS else firmware)
    if not disk.firmware and (disk.sector_size != SECTOR or disk.needs_uefi):
        wanted = (Firmware.UEFI,)
    partitions = tuple(
        _complete(item, number, name, arch, disk)
        for number, item in enumerate(_all(disk, table, wanted if disk.boots else ()))
    )
    options: dict[str, Any] = {
        "table": table,
        "uuid": disk.uuid or identity.table_uuid_for(name),
        "partitions": _all_options(partitions, name),
    }
    crypttab = luks.table(partitions, name)
    veritytab = verity.table(options["partitions"])
    if veritytab:
        options["root_hash_files"] = [verity.TABLE]
    if disk.sector_size != SECTOR:
        options["sector_size"] = disk.sector_size
    if disk.size is not None:
        options["size"] = disk.size
    options["free"] = disk.free
    if disk.bootloader is Bootloader.GRUB and Firmware.BIOS in wanted:
        options["bios_grub"] = True
    return Layout(disk, table, wanted, partitions, options, tuple(_mounts(_volumes(partitions))), veritytab, crypttab)


def as_qemu(layout: Layout) -> dict[str, Any] | None:
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
    dos = {"esp": "ef", "swap": "82"}.get(kind, "83" if kind in GUIDS else kind)
    made: dict[str, Any] = {key: options[key] for key in ("bootable", "name", "uuid", "filesystem") if key in options}
    made["type"] = dos if table is Table.DOS else GUIDS.get(kind, kind)
    made |= {key: options[key] // SECTOR for key in ("start", "size") if key in options}
    return made


def _all(disk: Disk, table: Table, firmware: tuple[Firmware, ...]) -> Iterator[Partition]:
    """The blueprint's partitions, and those in front and behind that booting needs."""
    kinds = {item.type for item in disk.partitions} | {
        TYPES.get(mount) for item in disk.partitions for mount in item.mounts
    }
    if Firmware.BIOS in firmware and table is Table.GPT and not kinds & {"bios-boot", GUIDS["bios-boot"]}:
        yield BIOS_BOOT
    if Firmware.UEFI in firmware and not kinds & {"esp", GUIDS["esp"], "ef"}:
        yield ESP_WITH_KERNELS if disk.needs_uefi else ESP
    yield from disk.partitions
    if not any("/" in item.mounts for item in disk.partitions):
        yield ROOT


def _complete(item: Partition, number: int, name: str, arch: str, disk: Disk) -> Partition:
    """The partition with what it leaves open filled in."""
    if item.volume_group:
        return _complete_group(item, name, arch, disk)
    return _complete_one(item, number, name, arch, disk)


def _complete_group(item: Partition, name: str, arch: str, disk: Disk) -> Partition:
    def complete(volume: LogicalVolume, number: int) -> LogicalVolume:
        if volume.file_system and not volume.mount and volume.uuid is None:
            volume = replace(volume, uuid=identity.uuid_for(name, f"{volume.group}/{volume.name} file system"))
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
    mount = next(iter(item.mounts), None)
    kind = item.type or (ROOT_TYPES.get(arch, "linux") if "/" in item.mounts else TYPES.get(mount or "", "linux"))
    if item.type is None and kind == "xbootldr" and item.file_system != "vfat" and disk.needs_uefi:
        kind = "linux"  # bootctl and kernel-install would put kernels where firmware cannot read them
    file_system = item.file_system
    if file_system is None and (item.mounts or kind in ("swap", GUIDS["swap"], "82")):
        usual = {"esp": "vfat", GUIDS["esp"]: "vfat", "ef": "vfat", "swap": "swap", GUIDS["swap"]: "swap", "82": "swap"}
        file_system = "btrfs" if item.subvolumes else usual.get(kind, "ext4")
    role = _role(item) or f"{kind} {number + 1}"
    is_root = "/" in item.mounts
    grow = item.grow if item.grow is not None else is_root and item.size is None and not item.verity
    uuid = item.uuid
    if uuid is None and file_system:
        uuid = (
            identity.volume_id_for(name, role)
            if file_system == "vfat"
            else identity.uuid_for(name, f"{role} file system")
        )
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


def _has_boot(disk: Disk) -> bool:
    return any("/boot" in item.mounts for item in disk.partitions)


def _role(item: Partition) -> str:
    """What it is, in a word that tells it from others, for identifiers that follow from the blueprint's name."""
    if "/" in item.mounts:
        return "root"
    return next(iter(item.mounts), None) or item.name or ""


def _all_options(partitions: tuple[Partition, ...], name: str) -> list[dict[str, Any]]:
    """The partitions as org.osbuild-compose.image takes them, with those that the blueprint does not name."""
    made: list[dict[str, Any]] = []
    for item in partitions:
        made.append(_options(item, len(made), name))
        if item.verity:
            if item.mount in verity.ON_COMMAND_LINE:
                del made[-1]["uuid"]  # follows from the root hash
            made.append(verity.hashes(item, len(made), name))
    return made


def _options(item: Partition, number: int, name: str) -> dict[str, Any]:
    """The partition as org.osbuild-compose.image takes it."""
    made: dict[str, Any] = {
        "type": item.type,
        "name": item.name,
        "uuid": item.partition_uuid or identity.uuid_for(name, f"partition {item.name} {number + 1}"),
    }
    for key, value in (("start", item.start), ("size", item.size), ("minimum", item.minimum)):
        if value is not None:
            made[key] = value
    made |= {key: True for key, value in (("grow", item.grow), ("bootable", item.bootable)) if value}
    if item.file_system:
        made["filesystem"] = _file_system(item)
    if item.luks:
        made["luks"] = luks.options(item, name)
    if item.volume_group:
        made["lvm"] = {
            "name": item.volume_group,
            "uuid": identity.uuid_for(name, f"volume group {item.volume_group}"),
            "pv_uuid": identity.uuid_for(name, f"physical volume of {item.volume_group}"),
            "volumes": [_logical_volume(volume, name) for volume in item.logical_volumes],
        }
    return made


def _file_system(item: Partition) -> dict[str, Any]:
    fs: dict[str, Any] = {"type": item.file_system, "uuid": item.uuid}
    for key, text in (("label", item.label), ("mountpoint", item.mount), ("compression", item.compression)):
        if text is not None:
            fs[key] = text
    if item.subvolumes:
        fs["subvolumes"] = [{"name": volume.name, "mountpoint": volume.mount} for volume in item.subvolumes]
    return fs


def _logical_volume(item: LogicalVolume, name: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "name": item.name,
        "uuid": identity.uuid_for(name, f"logical volume {item.group}/{item.name}"),
    }
    made |= {key: value for key, value in (("size", item.size), ("minimum", item.minimum)) if value is not None}
    if item.grow:
        made["grow"] = True
    if item.file_system:
        made["filesystem"] = _file_system(item)
    return made


def _volumes(partitions: tuple[Partition, ...]) -> tuple[Partition, ...]:
    """What can have a file system: the partitions, and logical volumes in place of those that they are in."""
    return tuple(volume for item in partitions for volume in (item.logical_volumes or (item,)))


def _points(item: Partition) -> Iterator[tuple[str, Subvolume | None]]:
    if item.mount:
        yield item.mount, None
    for volume in item.subvolumes:
        yield volume.mount, volume


def _mounts(partitions: tuple[Partition, ...]) -> Iterator[dict[str, Any]]:
    """The entries of /etc/fstab, outer mount points before inner ones, swap last."""
    entries = [(point, item, volume) for item in partitions for point, volume in _points(item)]
    for point, item, volume in sorted(entries, key=lambda entry: entry[0]):
        options = [item.options] if item.options else []
        if volume:
            options.append(f"subvol=/{volume.name}")
        if item.file_system == "vfat" and not item.options:
            options.append("umask=0077")
        if item.file_system in ("squashfs", "erofs") or item.verity:
            options.append("ro")
        source = {"partlabel": item.name} if item.file_system == "squashfs" else {"uuid": item.uuid}
        if item.verity or item.device:
            source = {"device": item.device or f"/dev/mapper/{verity.mapped_name(point)}"}
        checked = item.file_system == "ext4" and not item.verity
        yield {
            **source,
            "path": point,
            "vfs_type": item.file_system,
            "options": ",".join(options) or "defaults",
            "freq": 1 if point == "/" and checked else 0,
            "passno": (1 if point == "/" else 2) if checked else 0,
        }
    for item in partitions:
        if item.file_system == "swap":
            yield {
                **({"device": item.device} if item.device else {"uuid": item.uuid}),
                "path": "none",
                "vfs_type": "swap",
                "options": item.options or "sw",
                "freq": 0,
                "passno": 0,
            }
