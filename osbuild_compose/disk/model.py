"""The disk model: a disk as the blueprint describes it, and the complete layout made from it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from osbuild_compose.disk.types import FileSystemType
from osbuild_compose.document.node import Trail

DEVICES = "/dev/mapper"
# The file systems whose root hash is on the kernel command line: systemd-veritysetup-generator(8).
ROOT_HASH_ARGUMENTS = {"/": "roothash", "/usr": "usrhash"}
SECTORS = (512, 4096)  # bytes: the sizes that a sector can have, the default one first
SECTOR = SECTORS[0]
FIRST_BOOT = "first-boot"  # the value of `grow` for a partition that grows on the disk that it is started from


class Table(StrEnum):
    """Kinds of partition tables."""

    GPT = "gpt"
    DOS = "dos"


class Firmware(StrEnum):
    """What starts the boot loader."""

    BIOS = "bios"
    UEFI = "uefi"


class Bootloader(StrEnum):
    """What starts the kernel."""

    GRUB = "grub"
    SYSTEMD_BOOT = "systemd-boot"
    NONE = "none"


@dataclass(frozen=True)
class Origin:
    """Where a value comes from: the blueprint's key at the end of `trail`; if that is None, the rule in `reason`."""

    trail: Trail | None
    reason: str = ""


@dataclass(frozen=True)
class Subvolume:
    """A btrfs subvolume that is mounted at `mount`."""

    name: str
    mount: str


@dataclass(frozen=True)
class Luks:
    """Encryption of a partition by a passphrase, which only the runner gets."""

    passphrase: str = field(repr=False)


@dataclass(frozen=True)
class Hashes:
    """The dm-verity hashes of a partition, number `of` (from 0) in the layout; `salt` is in hexadecimal."""

    of: int
    uuid: str
    salt: str
    extension: str  # of the output file with the root hash


@dataclass(frozen=True)
class Partition:
    """A partition. Sizes are in bytes; None or an empty tuple means that the blueprint does not say.

    grow: it takes what is left of the disk when that is made; grows_at_boot: of a larger one that it starts from.
    volume_group is the name of the LVM group that contains logical_volumes. trail leads to the partition in the
    blueprint and `written` are its keys there; trail is None for a partition that was added. `reasons` has the reason
    for each value that the blueprint does not have.
    """

    mount: str | None = None
    type: str | None = None
    file_system: FileSystemType | None = None
    size: int | None = None
    minimum: int | None = None
    grow: bool | None = None
    grows_at_boot: bool = False
    start: int | None = None
    name: str | None = None
    label: str | None = None
    uuid: str | None = None
    partition_uuid: str | None = None
    bootable: bool | None = None
    options: str | None = None
    compression: str | None = None
    subvolumes: tuple[Subvolume, ...] = ()
    verity: bool = False
    volume_group: str | None = None
    logical_volumes: tuple["LogicalVolume", ...] = ()
    luks: Luks | None = None
    hashes: Hashes | None = None
    trail: Trail | None = field(default=None, repr=False, compare=False)
    written: frozenset[str] = field(default=frozenset(), repr=False, compare=False)
    reasons: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def at(self, *keys: str) -> Trail:
        """The trail of the first of these keys that the blueprint has, or of the last one if it has none."""
        return (*(self.trail or ()), next((key for key in keys if key in self.written), keys[-1]))

    def origin(self, key: str) -> Origin:
        """Where the value of this field comes from."""
        if self.trail is not None and key in self.written:
            return Origin((*self.trail, key))
        return Origin(None, self.reasons.get(key) or self.reasons.get("", "default"))

    @property
    def title(self) -> str:
        """The name in messages, and of the decrypted device below /dev/mapper."""
        return self.name or self.mount or self.type or "data"

    @property
    def volumes(self) -> tuple["Partition", ...]:
        """The volumes that can have a file system: its logical volumes, or the partition itself."""
        return self.logical_volumes or (self,)

    @property
    def mounts(self) -> tuple[str, ...]:
        """Its mount points, with those of its subvolumes and logical volumes."""
        own = (self.mount,) if self.mount else ()
        inner = (mount for volume in self.logical_volumes for mount in volume.mounts)
        return (*own, *(volume.mount for volume in self.subvolumes if volume.mount), *inner)

    @property
    def points(self) -> Iterator[tuple[str, Subvolume | None]]:
        """The mount points of its own file system, each with the subvolume that is mounted there."""
        if self.mount:
            yield self.mount, None
        for volume in self.subvolumes:
            yield volume.mount, volume

    @property
    def luks_name(self) -> str:
        """The name of the decrypted device below /dev/mapper; empty if the partition is not encrypted."""
        return "luks-" + re.sub(r"[^A-Za-z0-9._]", "-", self.title)

    @property
    def verity_name(self) -> str:
        """The name of the verified device below /dev/mapper. systemd calls those of / and /usr root and usr."""
        return (self.mount or "").strip("/").replace("/", "-") or "root"

    @property
    def device(self) -> str | None:
        """The device node of its file system, if that has a name of its own."""
        if self.luks and not self.volume_group:
            return f"{DEVICES}/{self.luks_name}"
        return f"{DEVICES}/{self.verity_name}" if self.verity else None


@dataclass(frozen=True)
class LogicalVolume(Partition):
    """A logical volume of an LVM group."""

    group: str = ""

    @property
    def device(self) -> str:
        """The device node of the logical volume, in whose name LVM doubles hyphens."""
        return f"{DEVICES}/" + "-".join(part.replace("-", "--") for part in (self.group, self.name or ""))


@dataclass(frozen=True)
class SwapFile:
    """A file that the system swaps to; size is in bytes."""

    path: str = ""
    size: int | None = None


@dataclass(frozen=True)
class Disk:
    """The disk as a blueprint describes it; `written` are the keys that the blueprint has.

    size and free are in bytes; if size is None, the disk is as large as its content requires, plus `free`.
    """

    size: int | None = None
    free: int = 512 * 1024 * 1024
    table: Table = Table.GPT
    sector_size: int = SECTOR
    uuid: str | None = None
    firmware: tuple[Firmware, ...] = ()
    bootloader: Bootloader = Bootloader.GRUB
    uki: bool = False
    partitions: tuple[Partition, ...] = ()
    swap_files: tuple[SwapFile, ...] = ()
    written: frozenset[str] = field(default=frozenset(), repr=False, compare=False)
    # A cache for resolve(), by its other arguments, so that a blueprint's disk is resolved once.
    layouts: dict[tuple[object, ...], "Layout"] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def boots(self) -> bool:
        """Whether the image has a boot loader or a kernel that firmware can start."""
        return self.bootloader is not Bootloader.NONE or self.uki

    @property
    def needs_uefi(self) -> bool:
        """Whether only UEFI can boot it."""
        return self.bootloader is Bootloader.SYSTEMD_BOOT or self.uki

    @property
    def fat_boot(self) -> Partition | None:
        """The partition that is mounted at /boot, if it is a FAT."""
        found = (item for item in self.partitions if item.mount == "/boot" and item.file_system is FileSystemType.VFAT)
        return next(found, None)


@dataclass(frozen=True)
class Layout:
    """A complete disk: all partitions, including those that booting and dm-verity need.

    `blueprint` is the name of the blueprint; `reasons` has the reason for each value that the blueprint does not have.
    `file_name` is what files beside the image are called, without extension; the blueprint's name if it is empty.
    """

    blueprint: str
    disk: Disk
    uuid: str
    firmware: tuple[Firmware, ...]
    partitions: tuple[Partition, ...]
    reasons: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    file_name: str = ""

    def origin(self, key: str) -> Origin:
        """Where the value of a field of the disk or layout comes from."""
        if key in self.disk.written:
            return Origin(("disk", key))
        return Origin(None, self.reasons.get(key, "default"))

    @property
    def written(self) -> tuple[Partition, ...]:
        """The partitions that the blueprint has."""
        return tuple(item for item in self.partitions if item.trail is not None)

    @property
    def volumes(self) -> tuple[Partition, ...]:
        """All volumes that can have a file system: partitions, and logical volumes in place of partitions with LVM."""
        return tuple(volume for item in self.partitions for volume in item.volumes)

    def holding(self, path: str) -> tuple[Partition, str]:
        """The partition or logical volume that contains `path`, and the path within its file system ("" for the top).

        Raises ValueError when none has it.
        """
        found = [
            (point, item, f"/{volume.name}" if volume else "")
            for item in self.volumes
            for point, volume in item.points
            if point in ("/", path) or path.startswith(f"{point}/")
        ]
        point, item, prefix = max(found, key=lambda one: len(one[0]))
        return item, (prefix + "/" + path.removeprefix(point).lstrip("/")).rstrip("/")

    @property
    def esp(self) -> str | None:
        """Where the EFI system partition is mounted, if there is one."""
        return next((item.mount for item in self.partitions if item.type == "esp"), None)

    @property
    def kernels(self) -> str | None:
        """The mount point of the file system with the kernels for firmware, or for a boot loader limited to FAT."""
        boot = next((item for item in self.partitions if item.mount == "/boot"), None)
        is_fat = boot is not None and boot.file_system is FileSystemType.VFAT and boot.type == "xbootldr"
        # Firmware, which takes the part of a boot loader here, only reads its own partition.
        return "/boot" if is_fat and self.disk.bootloader is not Bootloader.NONE else self.esp

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages that the image needs for its file systems, called the same by all distributions."""
        used = {item.file_system for item in self.volumes}
        return tuple(package for kind in sorted(FileSystemType) if kind in used and (package := kind.traits.package))

    @property
    def features(self) -> tuple[str, ...]:
        """Features of the disk that need packages of the image, which differ between distributions."""
        found = {
            "growth": any(item.grows_at_boot for item in self.partitions),
            "verity": any(item.verity for item in self.partitions),
            "verity_root": bool(self.sealed),
            "lvm": any(item.volume_group for item in self.partitions),
            "luks": any(item.luks for item in self.partitions),
            "luks_root": any(item.luks and "/" in item.mounts for item in self.partitions),
        }
        return tuple(feature for feature, used in found.items() if used)

    @property
    def sealed(self) -> tuple[str, ...]:
        """The mount points that the initramfs opens by a root hash on the kernel command line."""
        mounts = (item.mount for item in self.partitions if item.verity and self.disk.boots)
        return tuple(mount for mount in mounts if mount in ROOT_HASH_ARGUMENTS)

    @property
    def root_device(self) -> str | None:
        """The device node of /, if it cannot be found by its UUID."""
        return self.holding("/")[0].device if "/" in self.sealed else None

    @property
    def root_volume(self) -> str | None:
        """The logical volume that / is on, as LVM's programs take it: group/volume."""
        root, _ = self.holding("/")
        return f"{root.group}/{root.name}" if isinstance(root, LogicalVolume) else None

    @property
    def has_grub(self) -> bool:
        """Whether GRUB is the boot loader."""
        return self.disk.bootloader is Bootloader.GRUB

    @property
    def has_bios_grub(self) -> bool:
        """Whether GRUB is installed for BIOS."""
        return self.has_grub and Firmware.BIOS in self.firmware
