"""Partitions that dm-verity protects."""

import re
from collections.abc import Iterator, Sequence

from osbuild_compose.disk import device_mapper
from osbuild_compose.disk.checks import items
from osbuild_compose.disk.checks.items import Item
from osbuild_compose.problem import Problem, within

READ_ONLY = ("squashfs", "erofs", "ext4")  # what dm-verity can be below of


def problems(disk: Item, partitions: Sequence[Item]) -> Iterator[Problem]:
    """All that is wrong with them."""
    names: set[str] = set()
    for index, item in enumerate(partitions):
        if item.get("verity") is not True:
            continue
        trail = ("partitions", index)
        yield from within(trail, _partition(item))
        mount = item.get("mount")
        if not isinstance(mount, str):
            continue
        name = device_mapper.of_verity(mount)
        if name in names:
            what = f"two partitions with `verity` would both be /dev/mapper/{name}"
            yield Problem((*trail, "mount"), what, "mount one of them somewhere else")
        names.add(name)
        if mount in ("/", "/usr") and disk.get("bootloader", "grub") == "grub":
            what = f"{mount} cannot have `verity` with GRUB: it knows no root hash to tell the kernel"
            hint = "take `bootloader: systemd-boot`, with `uki: true` or without, or protect other partitions"
            yield Problem((*trail, "verity"), what, hint)


def _partition(item: Item) -> Iterator[Problem]:
    """Why dm-verity cannot protect the partition."""
    kind, mount = items.file_system(item), item.get("mount")
    if kind not in READ_ONLY:
        what = f"{kind} cannot be protected by `verity`: it is written even when it is mounted read-only"
        yield Problem(("verity",), what, f"use {', '.join(READ_ONLY)}")
    elif not isinstance(mount, str):
        yield Problem(("verity",), "`verity` protects what is mounted: there is no `mount`", "say where it is mounted")
    elif mount == "/boot":
        yield Problem(("verity",), "the boot loader reads /boot without looking at hashes", "leave `verity` out")
    elif not re.fullmatch(r"/[A-Za-z0-9._/-]*", mount):
        what = "the mount point of a partition with `verity` has letters, digits and . _ - / only"
        yield Problem(("mount",), what, "the device below /dev/mapper is called after it")
    elif mount in ("/", "/usr") and "partition_uuid" in item:
        yield Problem(
            ("partition_uuid",), f"the UUID of a {mount} with `verity` follows from its root hash", "leave it out"
        )
    if item.get("grow") is True:
        yield Problem(("grow",), "what `verity` protects has one size for ever", "leave `grow` out")
