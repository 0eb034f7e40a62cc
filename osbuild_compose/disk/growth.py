"""Partitions that grow to the end of their disk when the image boots on a larger one."""

import re
from collections.abc import Iterator
from typing import Any

from osbuild_compose.disk.model import FIRST_BOOT, Layout, LogicalVolume, Partition
from osbuild_compose.disk.types import FileSystemType
from osbuild_compose.problem import Problem

# The file systems that systemd-growfs(8) grows while they are mounted.
ABLE = (FileSystemType.EXT4, FileSystemType.XFS, FileSystemType.BTRFS)


def problems(layout: Layout) -> Iterator[Problem]:
    """Why partitions with `grow: first-boot` cannot grow."""
    for item in layout.written:
        for volume in item.logical_volumes:
            if volume.grows_at_boot:
                brief = f"`grow: {FIRST_BOOT}` is for partitions: a volume group would have to grow before its volumes"
                hint = "make it a partition, or grow it in `first_boot` with pvresize and lvextend"
                yield Problem(volume.at("grow"), brief, hint)
        if item.grows_at_boot and (found := _obstacle(item, layout)):
            yield Problem(item.at("grow"), *found)


def _obstacle(item: Partition, layout: Layout) -> tuple[str, str] | None:
    """What keeps the partition from growing, and what to do about it."""
    if item.volume_group:
        why = "a volume group would have to grow, and its volumes after it"
        return why, "make it a partition without LVM, or grow it in `first_boot`: sfdisk, pvresize, lvextend -r"
    if item.luks:
        return "an encrypted partition cannot grow without its passphrase", "leave `luks` out, or `grow`"
    if item.verity:
        return "what `verity` protects cannot grow", "leave `grow` out"
    if item.file_system not in ABLE:
        kind = item.file_system or "a partition without a file system"
        return f"{kind} cannot grow when the system boots", f"use {', '.join(ABLE)}"
    if not item.mounts:
        return "a file system grows where it is mounted, and this one is not", "add `mount`"
    return _behind(layout.partitions[layout.partitions.index(item) + 1 :])


def _behind(after: tuple[Partition, ...]) -> tuple[str, str] | None:
    """That these partitions are in the way."""
    if not after:
        return None
    is_added = len(after) == 1 and after[0].trail is None and "/" in after[0].mounts
    hint = "list {mount: /} before this one" if is_added else "list this partition last"
    return f"only the last partition can grow, and {after[0].title} is after it", hint


def growing(layout: Layout) -> dict[str, Any] | None:
    """What templates see of the partition that grows: the UUID and the mount point of its file system, and more."""
    item = next((item for item in layout.partitions if item.grows_at_boot), None)
    if item is None or isinstance(item, LogicalVolume):
        return None
    mount = mount_point(item)
    unit = "systemd-growfs-root" if mount == "/" else f"systemd-growfs@{escaped(mount)}"
    return {
        "uuid": item.uuid,
        "mount": mount,
        "unit": f"{unit}.service",
        "device": escaped(f"/dev/disk/by-uuid/{item.uuid}"),
    }


def mount_point(item: Partition) -> str:
    """The mount point at which the file system grows."""
    return "/" if "/" in item.mounts else item.mounts[0]


def escaped(path: str) -> str:
    """The path as in the name of a unit: systemd-escape(1) --path."""
    name = re.sub(r"/+", "/", path.strip("/")) or "/"
    first = "\\x2e" if name.startswith(".") else ""
    return first + "".join(map(_escaped, name[1:] if first else name))


def _escaped(character: str) -> str:
    if character == "/":
        return "-"
    if re.fullmatch(r"[A-Za-z0-9:_.]", character):
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode())
