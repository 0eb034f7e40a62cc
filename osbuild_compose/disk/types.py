"""Partition types, file systems, least sizes and alignment, from schemas/disk-types.json.

schemas/disk-types.schema.json describes the fields. All sizes are in bytes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from osbuild_compose import data

_DATA: Mapping[str, Any] = json.loads((data.directory("schemas") / "disk-types.json").read_text(encoding="utf-8"))

DOS_DEFAULT: str = _DATA["dos_default"]
ALIGNMENT: int = _DATA["alignment"]
GPT_ENTRIES: int = _DATA["gpt_entries"]
DOS_PARTITIONS: int = _DATA["dos_partitions"]
DOS_SECTORS: int = _DATA["dos_sectors"]
LVM_START: int = _DATA["lvm"]["start"]
LVM_EXTENT: int = _DATA["lvm"]["extent"]
LUKS_HEADER: int = _DATA["luks_header"]


@dataclass(frozen=True)
class PartitionType:
    """A type of partition that a blueprint can name."""

    name: str
    guid: str
    title: str
    dos: str = DOS_DEFAULT
    mounts: Sequence[str] = ()
    architecture: str | None = None
    hashes: str | None = None


PARTITION_TYPES = {item["name"]: PartitionType(**item) for item in _DATA["partition_types"] if "name" in item}
_NAMES = {item.guid: item.name for item in PARTITION_TYPES.values()}
_NAMES |= {item.dos: item.name for item in PARTITION_TYPES.values() if item.dos != DOS_DEFAULT}


@dataclass(frozen=True)
class FileSystemTraits:
    """The traits of a file system. minimum is 0 for any size, label_length is 0 if it has no label."""

    label_length: int = 0
    minimum: int = 0
    verity: bool = False
    package: str | None = None


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
    def traits(self) -> FileSystemTraits:
        """The traits of this file system."""
        return FileSystemTraits(**_DATA["file_systems"][self.value])

    @property
    def is_read_only(self) -> bool:
        """Whether it is always read-only."""
        return self in (FileSystemType.SQUASHFS, FileSystemType.EROFS)


def type_name(text: str) -> str:
    """The name of a partition type that is written as a GUID or as the digits of a DOS table, if it has one."""
    return _NAMES.get(text.lower(), text)


def type_for_mount(mount: str, architecture: str) -> str:
    """The name of the type that the Discoverable Partitions Specification has for this mount point.

    https://uapi-group.org/specifications/specs/discoverable_partitions_specification
    """
    fitting = (item for item in PARTITION_TYPES.values() if item.architecture in (None, architecture))
    return next((item.name for item in fitting if mount in item.mounts), "linux")
