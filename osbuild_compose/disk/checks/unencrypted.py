"""What has to lie on a partition as it is, neither encrypted nor on a logical volume.

Firmware knows neither, and GRUB would have to be told of both.
"""

from collections.abc import Iterator, Sequence

from osbuild_compose.disk import partition_types
from osbuild_compose.disk.checks import items, loaders
from osbuild_compose.disk.checks.items import Item
from osbuild_compose.problem import Problem

BOOT = "add a partition for /boot: {mount: /boot, size: 1 GiB}"


def problems(disk: Item, partitions: Sequence[Item]) -> Iterator[Problem]:
    """What does not."""
    grub = loaders.place_of_grub(partitions) if disk.get("bootloader", "grub") == "grub" else None
    for index, item in enumerate(partitions):
        trail = ("partitions", index)
        if isinstance(item.get("luks"), dict):
            if _is_of_firmware(disk, item):
                yield Problem((*trail, "luks"), "firmware does not read what is encrypted", "leave `luks` out")
            elif grub in items.points(item):
                yield Problem((*trail, "luks"), "GRUB's files cannot be encrypted", BOOT)
        for number, volume in enumerate(items.volumes(item)):
            place = (*trail, "logical_volumes", number, "mount")
            if volume.get("mount") in partition_types.ESP_MOUNTS:
                what = "firmware does not read logical volumes"
                yield Problem(place, what, "make the EFI system partition a partition")
            elif grub is not None and volume.get("mount") == grub:
                yield Problem(place, "GRUB's files cannot be on a logical volume", BOOT)


def _is_of_firmware(disk: Item, item: Item) -> bool:
    """Whether firmware reads the partition, or a boot loader that can read what firmware can."""
    kind, mount = items.type_of(item), item.get("mount")
    if kind == "bios-boot" or items.is_esp(item):
        return True
    has_kernels = disk.get("bootloader") == "systemd-boot" and items.file_system(item) == "vfat"
    return has_kernels and (kind == "xbootldr" or mount == "/boot")
