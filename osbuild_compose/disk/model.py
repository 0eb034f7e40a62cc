"""The disk as a blueprint describes it. None, or an empty tuple, is for what the blueprint leaves open."""

from dataclasses import dataclass, field
from enum import StrEnum

from osbuild_compose.disk import device_mapper


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
class Subvolume:
    """A btrfs subvolume that is mounted at `mount`."""

    name: str
    mount: str


@dataclass(frozen=True)
class Luks:
    """How a partition is encrypted: the passphrase that opens it, which goes nowhere but to the runner."""

    passphrase: str = field(repr=False)


@dataclass(frozen=True)
class Partition:
    """A partition. Sizes are in bytes; mount is the mount point, in which "swap" is none.

    volume_group is the name of the LVM group whose logical_volumes are in it.
    """

    mount: str | None = None
    type: str | None = None
    file_system: str | None = None
    size: int | None = None
    minimum: int | None = None
    grow: bool | None = None
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

    @property
    def mounts(self) -> tuple[str, ...]:
        """Where it is mounted, or its subvolumes and logical volumes are."""
        own = (self.mount,) if self.mount else ()
        inner = (mount for volume in self.logical_volumes for mount in volume.mounts)
        return (*own, *(volume.mount for volume in self.subvolumes), *inner)

    @property
    def mapped_name(self) -> str:
        """The name below /dev/mapper of what is in it, when it is encrypted."""
        return device_mapper.of_luks(self.name, self.volume_group, self.mount, self.file_system)

    @property
    def device(self) -> str | None:
        """The device node of its file system, if that has a name of its own."""
        return f"{device_mapper.DIRECTORY}/{self.mapped_name}" if self.luks and not self.volume_group else None


@dataclass(frozen=True)
class LogicalVolume(Partition):
    """What an LVM group has in place of partitions."""

    group: str = ""

    @property
    def device(self) -> str:
        """The device node of the logical volume."""
        return f"{device_mapper.DIRECTORY}/{device_mapper.of_logical_volume(self.group, self.name or '')}"


@dataclass(frozen=True)
class Disk:
    """The disk. size and free are in bytes; size None is for as large as the content needs and `free` more."""

    size: int | None = None
    free: int = 512 * 1024 * 1024
    table: Table = Table.GPT
    sector_size: int = 512
    uuid: str | None = None
    firmware: tuple[Firmware, ...] = ()
    bootloader: Bootloader = Bootloader.GRUB
    uki: bool = False
    partitions: tuple[Partition, ...] = ()

    @property
    def boots(self) -> bool:
        """Whether the image has what starts its kernel."""
        return self.bootloader is not Bootloader.NONE or self.uki

    @property
    def needs_uefi(self) -> bool:
        """Whether nothing but UEFI can start it."""
        return self.bootloader is Bootloader.SYSTEMD_BOOT or self.uki
