"""From a blueprint's disk to all its partitions, each with identifiers, type and size, as an assembler takes them."""

from dataclasses import dataclass, replace
from typing import Any

from osbuild_compose.disk import luks, mounts, partition_options, partitions, uuids, verity
from osbuild_compose.disk.model import Bootloader, Disk, Firmware, LogicalVolume, Partition, Table

SECTOR = 512
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
            for partition in mounts.volumes(self.partitions)
            for point, volume in mounts.points(partition)
            if point in ("/", path) or path.startswith(f"{point}/")
        ]
        point, partition, prefix = max(found, key=lambda item: len(item[0]))
        return partition, (prefix + "/" + path.removeprefix(point).lstrip("/")).rstrip("/")

    @property
    def esp(self) -> str | None:
        """Where the EFI system partition is mounted, if there is one."""
        found = (item.mount for item in self.partitions if item.type == "esp")
        return next(found, None)

    @property
    def kernels(self) -> str | None:
        """Where the file system is mounted from which a boot loader that reads FAT only, or firmware, takes kernels."""
        if self.disk.bootloader is Bootloader.NONE:
            return self.esp  # firmware looks nowhere else
        boot = next((item for item in self.partitions if item.mount == "/boot" and item.file_system == "vfat"), None)
        return "/boot" if boot and boot.type == "xbootldr" else self.esp

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages that the image needs for its file systems, called the same by all distributions."""
        kinds = {partition.file_system for partition in mounts.volumes(self.partitions)}
        return tuple(package for kind, package in NEED_NAMES.items() if kind in kinds)

    @property
    def features(self) -> tuple[str, ...]:
        """What else the image has to know to use its disk; distributions have different packages for it."""
        found = {
            "verity": any(partition.verity for partition in self.partitions),
            "verity_root": bool(self.sealed),
            "lvm": any(partition.volume_group for partition in self.partitions),
            "luks": bool(self.crypttab),
            "luks_root": any(partition.luks and "/" in partition.mounts for partition in self.partitions),
        }
        return tuple(feature for feature, used in found.items() if used)

    @property
    def sealed(self) -> tuple[str, ...]:
        """Mount points of file systems that the initramfs opens by root hashes on the kernel's command line."""
        mounts = (item.mount for item in self.partitions if item.verity and self.disk.boots)
        return tuple(mount for mount in mounts if mount in verity.ON_COMMAND_LINE)

    @property
    def root_device(self) -> str | None:
        """The device node of / where it is not found by its UUID."""
        return verity.device("/") if "/" in self.sealed else None

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
    found = partitions.complete(disk, name, arch, wanted if disk.boots else ())
    options: dict[str, Any] = {
        "table": table,
        "uuid": disk.uuid or uuids.table_uuid_for(name),
        "partitions": partition_options.of(found, name),
    }
    crypttab = luks.table(found, name)
    veritytab = verity.table(options["partitions"])
    if disk.sector_size != SECTOR:
        options["sector_size"] = disk.sector_size
    if disk.size is not None:
        options["size"] = disk.size
    options["free"] = disk.free
    if disk.bootloader is Bootloader.GRUB and Firmware.BIOS in wanted:
        options["bios_grub"] = True
    entries = mounts.fstab(found, options["uuid"][:8].lower() if table is Table.DOS else None)
    made = Layout(disk, table, wanted, found, options, tuple(entries), veritytab, crypttab)
    files = [verity.TABLE] if veritytab else []
    if made.sealed and made.kernels:
        files += verity.command_lines(disk, made.kernels, made.sealed)
    return replace(made, options={**options, "root_hash_files": files}) if files else made
