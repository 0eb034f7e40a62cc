"""One file system, on a partition or a logical volume: what its kind has not, and keys that exclude each other."""

from collections.abc import Iterator, Mapping
from typing import Any

from osbuild_compose.blueprint import formats
from osbuild_compose.blueprint.values import size
from osbuild_compose.blueprint.values.size import MIB
from osbuild_compose.disk import minimum_sizes
from osbuild_compose.disk.checks import items, labels
from osbuild_compose.disk.checks.items import Item
from osbuild_compose.problem import Problem

COMPRESSIONS: Mapping[str, tuple[str, ...]] = {
    kind: formats.OPTIONS[kind]["compression"] for kind in (formats.Format.SQUASHFS, formats.Format.EROFS)
}


def problems(item: Item) -> Iterator[Problem]:
    """All that is wrong with the partition or logical volume."""
    kind = items.file_system(item)
    if items.type_of(item) == "bios-boot" and ("mount" in item or "file_system" in item):
        yield Problem(
            ("type",), "a BIOS boot partition has no file system", "GRUB is in it as it is: leave `mount` out"
        )
    if "subvolumes" in item and kind != "btrfs":
        yield Problem(("subvolumes",), f"{kind} has no subvolumes", "only btrfs has")
    if "subvolumes" in item and "mount" in item:
        yield Problem(
            ("mount",), "the top of a btrfs with subvolumes is not mounted", "name the subvolume for this mount point"
        )
    if kind == "swap" and ("mount" in item or "size" not in item):
        key = "mount" if "mount" in item else "type"
        yield Problem((key,), "swap space has a `size` and no `mount`", "for example: {type: swap, size: 1 GiB}")
    if "compression" in item and item["compression"] not in COMPRESSIONS.get(kind, ()):
        known = ", ".join(COMPRESSIONS.get(kind, ())) or "none here"
        yield Problem(("compression",), f"{kind} cannot have `compression` {item['compression']}; it has: {known}")
    if "/" in items.points(item) and kind in ("vfat", "swap"):
        yield Problem(
            ("file_system",), f"{kind} cannot hold a system: it has no owners and modes", "use ext4, xfs or btrfs"
        )
    if kind != "vfat" and "file_system" in item and items.is_esp(item):
        yield Problem(
            ("file_system",), f"firmware reads no {kind}: an EFI system partition is vfat", "leave `file_system` out"
        )
    yield from _subvolumes(item)
    yield from labels.problems(kind, item.get("label"))
    uuid = item.get("uuid")
    is_vfat = kind == "vfat" or items.is_esp(item)
    if isinstance(uuid, str) and (len(uuid) == len("1234-ABCD")) != is_vfat:
        yield Problem(
            ("uuid",), f"{uuid} does not fit {kind}", "a vfat has a number such as 1234-ABCD, all others a UUID"
        )
    if item.get("size") is not None and (item.get("grow") is True or "minimum" in item):
        key = "grow" if item.get("grow") is True else "minimum"
        yield Problem((key,), f"a partition with a `size` cannot have `{key}`, too", "leave one of them out")
    yield from too_small(kind, item.get("size"))


def too_small(kind: str, wanted: Any) -> Iterator[Problem]:
    """Why no file system of this kind is as small as `wanted`, if that is a size."""
    least = minimum_sizes.OF_FILE_SYSTEMS.get(kind, 0)
    if items.is_amount(wanted) and (found := size.readable(wanted)) is not None and found < least:
        what = f"{kind} has {least // MIB} MiB at least: {-(-(least - found) // MIB)} MiB too little"
        yield Problem(("size",), what, f"write {least // MIB} MiB or more, or leave `size` out")


def _subvolumes(item: Item) -> Iterator[Problem]:
    names: set[str] = set()
    for number, volume in enumerate(items.mappings(item.get("subvolumes")) or []):
        name = volume.get("name")
        if isinstance(name, str) and name in names:
            yield Problem(("subvolumes", number, "name"), f"two subvolumes are called {name}")
        names.add(str(name))
