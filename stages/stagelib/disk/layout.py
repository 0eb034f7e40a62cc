"""The layout of a disk: its partition table and partitions, from an assembler's options."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stagelib.disk import types
from stagelib.disk.sizes import MIB
from stagelib.errors import StageError


@dataclass(frozen=True)
class Subvolume:
    """A btrfs subvolume: its path from the top of the file system, and the directory of the tree that fills it."""

    name: str
    mountpoint: str


@dataclass(frozen=True)
class FileSystem:
    """A file system; `mountpoint` is the directory of the tree that fills it, None for one that starts empty."""

    type: str
    uuid: str
    label: str = ""
    mountpoint: str | None = None
    subvolumes: tuple[Subvolume, ...] = ()
    compression: str | None = None

    @property
    def mountpoints(self) -> tuple[str, ...]:
        """All directories of the tree that are in this file system."""
        own = (self.mountpoint,) if self.mountpoint else ()
        return own + tuple(volume.mountpoint for volume in self.subvolumes)


@dataclass(frozen=True)
class Hashes:
    """The dm-verity hashes of the partition `of` (its number from 0), with fixed identifiers.

    salt: hexadecimal digits; filename: the output file for the root hash.
    """

    of: int
    uuid: str
    salt: str
    filename: str


@dataclass(frozen=True)
class LogicalVolume:
    """An LVM logical volume, with sizes in bytes as in Partition."""

    name: str
    uuid: str
    size: int | None = None
    minimum: int = 0
    grow: bool = False
    file_system: FileSystem | None = None


@dataclass(frozen=True)
class VolumeGroup:
    """An LVM volume group on one physical volume, which is a partition."""

    name: str
    uuid: str
    pv_uuid: str
    volumes: tuple[LogicalVolume, ...] = ()


@dataclass(frozen=True)
class Luks:
    """How a partition is encrypted: the UUID of its header, and the name of the passphrase that opens it."""

    uuid: str
    passphrase: str


@dataclass(frozen=True)
class Partition:
    """A partition, sizes in bytes. size None: as its content needs, at least `minimum`; grow: use remaining space.

    type is a key of types.GUIDS, a GUID, or a DOS type in hexadecimal digits. Its content is a file system, hashes, a
    volume group, or zeroes.
    """

    type: str
    name: str = ""
    uuid: str | None = None
    bootable: bool = False
    start: int | None = None
    size: int | None = None
    minimum: int = 0
    grow: bool = False
    file_system: FileSystem | None = None
    hashes: Hashes | None = None
    volume_group: VolumeGroup | None = None
    luks: Luks | None = None

    @property
    def file_systems(self) -> tuple[FileSystem, ...]:
        """Its own, or those of the logical volumes in it."""
        volumes = self.volume_group.volumes if self.volume_group else ()
        return tuple(fs for fs in (self.file_system, *(volume.file_system for volume in volumes)) if fs)

    @property
    def mountpoints(self) -> tuple[str, ...]:
        """All directories of the tree that fill it."""
        return tuple(point for fs in self.file_systems for point in fs.mountpoints)

    @property
    def title(self) -> str:
        """Its name in messages."""
        points = self.mountpoints
        return " ".join(filter(None, (self.name or self.type, f"({', '.join(points)})" if points else "")))


@dataclass(frozen=True)
class Disk:
    """A disk, sizes in bytes. size None: as large as its partitions need, and a multiple of `multiple`.

    free: bytes left in file systems of computed size. root_hash_files: files of the tree that get root hashes.
    """

    table: str
    uuid: str
    partitions: tuple[Partition, ...]
    size: int | None = None
    sector: int = 512
    free: int = 0
    multiple: int = MIB
    root_hash_files: tuple[str, ...] = ()

    @property
    def hashes(self) -> tuple[tuple[int, Hashes], ...]:
        """The partitions with hashes: their numbers (from 0) and hashes."""
        return tuple((number, item.hashes) for number, item in enumerate(self.partitions) if item.hashes)

    def holding(self, path: str) -> int | None:
        """The number (from 0) of the partition whose file system holds the tree's `path`."""
        best: tuple[int, int] | None = None
        for number, partition in enumerate(self.partitions):
            for point in partition.mountpoints:
                if within(path, point) and (best is None or len(point) > best[0]):
                    best = len(point), number
        return None if best is None else best[1]


def within(path: str, point: str) -> bool:
    """Whether the absolute `path` is `point` or below it."""
    return point in ("/", path) or path.startswith(point + "/")


def from_options(options: Mapping[str, Any]) -> Disk:
    """The disk that the options `disk` of org.osbuild-compose.image describe.

    Raises StageError when two file systems have the same mount point, or a DOS table cannot have what is asked.
    """
    disk = Disk(
        table=options.get("table", "gpt"),
        uuid=options["uuid"],
        partitions=tuple(_partition(item) for item in options["partitions"]),
        size=options.get("size"),
        sector=options.get("sector_size", 512),
        free=options.get("free", 0),
        multiple=options.get("size_multiple", MIB),
        root_hash_files=tuple(options.get("root_hash_files", ())),
    )
    check(disk)
    return disk


def _partition(options: Mapping[str, Any]) -> Partition:
    fs = options.get("filesystem")
    own = {
        key: options[key] for key in ("name", "uuid", "bootable", "start", "size", "minimum", "grow") if key in options
    }
    hashes = options.get("hashes")
    if hashes:
        own["hashes"] = Hashes(**{**hashes, "of": hashes["of"] - 1})
    group = options.get("lvm")
    if group:
        own["volume_group"] = _volume_group(group)
    if "luks" in options:
        own["luks"] = Luks(**options["luks"])
    return Partition(type=options["type"], file_system=file_system(fs) if fs else None, **own)


def _volume_group(options: Mapping[str, Any]) -> VolumeGroup:
    volumes = [
        LogicalVolume(
            file_system=file_system(item["filesystem"]) if "filesystem" in item else None,
            **{key: item[key] for key in ("name", "uuid", "size", "minimum", "grow") if key in item},
        )
        for item in options["volumes"]
    ]
    return VolumeGroup(options["name"], options["uuid"], options["pv_uuid"], tuple(volumes))


def file_system(options: Mapping[str, Any]) -> FileSystem:
    """The file system that the options `filesystem` of a partition describe."""
    own = {key: options[key] for key in ("type", "uuid", "label", "mountpoint", "compression") if key in options}
    volumes = tuple(Subvolume(item["name"], item["mountpoint"]) for item in options.get("subvolumes", ()))
    return FileSystem(subvolumes=volumes, **own)


def check(disk: Disk) -> None:
    """Raise StageError for what is impossible regardless of sizes."""
    points = [point for item in disk.partitions for point in item.mountpoints]
    for point in points:
        if points.count(point) > 1:
            raise StageError(f"two file systems are mounted at {point}", "give each its own mount point")
    if disk.table == "dos" and len(disk.partitions) > types.DOS_PARTITIONS:
        raise StageError(f"a DOS partition table has {types.DOS_PARTITIONS} partitions at most", "use a GPT: table gpt")
    sealed = {hashes.of for _, hashes in disk.hashes}
    for number, item in enumerate(disk.partitions):
        if disk.table == "dos":
            dos_type(item.type)
        else:
            gpt_type(item.type)
            if item.uuid is None and not item.hashes and number not in sealed:
                raise StageError(f"{item.title}: a GPT partition needs a uuid", "for example one from uuidgen")
        for fs in item.file_systems:
            if fs.subvolumes and fs.type != "btrfs":
                raise StageError(f"{item.title}: {fs.type} has no subvolumes", "only btrfs has them")
        _check_names(item)
        if item.luks and not item.file_system and not item.volume_group:
            raise StageError(f"{item.title}: an encrypted partition needs a file system", "add one, or remove luks")
        if item.hashes:
            _check_hashes(disk, item, item.hashes)


def _check_names(item: Partition) -> None:
    names = [volume.name for volume in item.volume_group.volumes] if item.volume_group else []
    for name in names:
        if names.count(name) > 1:
            raise StageError(f"{item.title}: two logical volumes are called {name}", "give each its own name")


def _check_hashes(disk: Disk, item: Partition, hashes: Hashes) -> None:
    data = disk.partitions[hashes.of] if 0 <= hashes.of < len(disk.partitions) else None
    if disk.table != "gpt":
        raise StageError(f"{item.title}: only a GPT can have partitions with hashes", "use a GPT: table gpt")
    if data is None or data.file_system is None or data.file_system.type not in types.VERITY:
        raise StageError(
            f"{item.title}: the partition that its hashes protect has no read-only file system",
            f"one of {', '.join(types.VERITY)}",
        )
    if data.luks:
        raise StageError(f"{data.title}: an encrypted partition differs each time, and so would its hashes")
    if data.grow or [one.of for _, one in disk.hashes].count(hashes.of) > 1:
        raise StageError(f"{data.title}: a partition protected by hashes cannot grow, and has one partition of hashes")


def gpt_type(kind: str) -> str:
    """The type GUID for a key of types.GUIDS or a GUID. Raises StageError."""
    if kind in types.GUIDS:
        return types.GUIDS[kind]
    if re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", kind):
        return kind.lower()
    raise StageError(
        f"'{kind}' is not the type of a GPT partition", f"it is a GUID, or one of {', '.join(types.GUIDS)}"
    )


def dos_type(kind: str) -> int:
    """The type byte for a key of types.GUIDS or hexadecimal digits. Raises StageError."""
    if kind == "bios-boot":
        raise StageError(
            "a DOS partition table has no BIOS boot partition", "GRUB is written in front of the first partition"
        )
    digits = types.DOS_TYPES.get(kind, types.DOS_DEFAULT) if kind in types.GUIDS else kind.removeprefix("0x")
    if re.fullmatch(r"[0-9a-fA-F]{1,2}", digits):
        return int(digits, 16)
    raise StageError(f"'{kind}' is not the type of a DOS partition", "it is two hexadecimal digits, such as 83")
