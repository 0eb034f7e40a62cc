"""What holds for every disk: partition types, file systems and sizes, from schemas/disk-types.json."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from osbuild_compose import data


@dataclass(frozen=True)
class PartitionType:
    """A type of partition that a blueprint can name.

    `mounts` are mount points whose partition has the type by default, on `architecture` only if that is given; `hashes`
    names the type of the partition with the dm-verity hashes of such a partition.
    """

    name: str
    guid: str
    dos: str
    mounts: tuple[str, ...] = ()
    architecture: str | None = None
    hashes: str | None = None


class FileSystemType(StrEnum):
    """The file systems that a partition can have."""

    EXT4 = "ext4"
    XFS = "xfs"
    BTRFS = "btrfs"
    VFAT = "vfat"
    SWAP = "swap"
    SQUASHFS = "squashfs"
    EROFS = "erofs"

    @property
    def minimum(self) -> int:
        """The least size in bytes that its maker accepts; 0 if any."""
        return int(self._facts.get("minimum", 0))

    @property
    def label_length(self) -> int:
        """The most characters of a label; 0 if it has none."""
        return int(self._facts.get("label_length", 0))

    @property
    def package(self) -> str | None:
        """The package that an image needs to check and mount it at boot; distributions agree on the name."""
        return self._facts.get("package")

    @property
    def is_read_only(self) -> bool:
        """Whether it is never written to."""
        return self in (FileSystemType.SQUASHFS, FileSystemType.EROFS)

    @property
    def has_verity(self) -> bool:
        """Whether dm-verity can protect it."""
        return bool(self._facts.get("verity", False))

    @property
    def _facts(self) -> Mapping[str, Any]:
        facts: Mapping[str, Any] = _DATA["file_systems"][self.value]
        return facts


def _partition_types() -> Mapping[str, PartitionType]:
    return {
        item["name"]: PartitionType(
            item["name"],
            item["guid"],
            item.get("dos", DOS_DEFAULT),
            tuple(item.get("mounts", ())),
            item.get("architecture"),
            item.get("hashes"),
        )
        for item in _DATA["partition_types"]
        if "name" in item
    }


_DATA: Mapping[str, Any] = json.loads((data.directory("schemas") / "disk-types.json").read_text(encoding="utf-8"))

DOS_DEFAULT: str = _DATA["dos_default"]
ALIGNMENT: int = _DATA["alignment"]  # bytes, as are all sizes here
GPT_ENTRIES: int = _DATA["gpt_entries"]
DOS_PARTITIONS: int = _DATA["dos_partitions"]
DOS_SECTORS: int = _DATA["dos_sectors"]
LVM_START: int = _DATA["lvm"]["start"]
LVM_EXTENT: int = _DATA["lvm"]["extent"]
LUKS_HEADER: int = _DATA["luks_header"]
PARTITION_TYPES = _partition_types()

_NAMES = {
    code: item.name
    for item in PARTITION_TYPES.values()
    for code in (item.guid, *([item.dos] if item.dos != DOS_DEFAULT else []))
}


def type_name(text: str) -> str:
    """The name of a partition type that is written as a GUID or as the digits of a DOS table, if it has one."""
    return _NAMES.get(text.lower(), text)


def type_for_mount(mount: str, architecture: str) -> str:
    """The name of the type that the Discoverable Partitions Specification has for what is mounted there.

    https://uapi-group.org/specifications/specs/discoverable_partitions_specification
    """
    found = (
        item.name
        for item in PARTITION_TYPES.values()
        if mount in item.mounts and item.architecture in (None, architecture)
    )
    return next(found, "linux")
