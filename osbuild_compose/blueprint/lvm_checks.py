"""What must hold of a blueprint's volume groups beyond its schema."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from osbuild_compose.blueprint import size
from osbuild_compose.document.read import Trail

Problem = tuple[Trail, str, str]  # where, what, and what to do
MIB = 1024 * 1024
EXTENT = 4 * MIB  # of which a logical volume has a whole number; in front of the first is 1 MiB
OF_FILE_SYSTEMS = ("mount", "file_system", "label", "uuid", "options", "compression", "subvolumes", "verity")
ESP = ("/boot/efi", "/efi")


def volumes(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The logical volumes of a partition, as far as the schema takes them."""
    found = item.get("logical_volumes")
    return [volume for volume in found if isinstance(volume, dict)] if isinstance(found, list) else []


def least(item: Mapping[str, Any]) -> int:
    """The bytes that the partition's logical volumes take at least. Raises ValueError for what is not a size."""
    found = volumes(item)
    wanted = (
        max(size.to_bytes(volume[key]) if key in volume else 0 for key in ("size", "minimum")) for volume in found
    )
    return MIB + sum(max(1, -(-one // EXTENT)) * EXTENT for one in wanted) if found else 0


def problems(disk: Mapping[str, Any], partitions: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """All that is wrong with the groups of a disk with these partitions."""
    groups: set[str] = set()
    for index, item in enumerate(partitions):
        trail: Trail = ("disk", "partitions", index)
        yield from (((*trail, *rest), what, hint) for rest, what, hint in _group(item))
        name = item.get("volume_group")
        if isinstance(name, str):
            if name in groups:
                what = f"two volume groups are called {name}"
                yield (*trail, "volume_group"), what, "a group lies on one partition here; give it another name"
            groups.add(name)
    yield from _booting(disk, partitions)


def _group(item: Mapping[str, Any]) -> Iterator[Problem]:
    if "volume_group" in item and "logical_volumes" not in item:
        yield ("volume_group",), "a volume group without `logical_volumes`", "list them, or give a file system instead"
    if "logical_volumes" in item and "volume_group" not in item:
        yield ("logical_volumes",), "logical volumes of no group", "name the group: `volume_group`"
    for key in OF_FILE_SYSTEMS:
        if "volume_group" in item and key in item:
            yield (key,), f"a partition with a volume group has no `{key}`", "its logical volumes have"
    names: set[str] = set()
    for number, volume in enumerate(volumes(item)):
        name = volume.get("name")
        if isinstance(name, str) and name in names:
            yield ("logical_volumes", number, "name"), f"two logical volumes are called {name}", ""
        names.add(str(name))


def _booting(disk: Mapping[str, Any], partitions: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """GRUB would need to be told of LVM, and firmware knows nothing of it."""
    plain = [item.get("mount") for item in partitions]
    for index, item in enumerate(partitions):
        for number, volume in enumerate(volumes(item)):
            mount, trail = volume.get("mount"), ("disk", "partitions", index, "logical_volumes", number, "mount")
            if mount in ESP:
                yield trail, "firmware does not read logical volumes", "make the EFI system partition a partition"
            elif disk.get("bootloader", "grub") == "grub" and (
                mount == "/boot" or (mount == "/" and "/boot" not in plain)
            ):
                what = "GRUB's files cannot be on a logical volume"
                yield trail, what, "add a partition for /boot: {mount: /boot, size: 1 GiB}"
