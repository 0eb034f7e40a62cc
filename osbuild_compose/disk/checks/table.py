"""What partition tables have no place for."""

from collections.abc import Iterator, Sequence

from osbuild_compose.blueprint.values import size
from osbuild_compose.disk.checks import items
from osbuild_compose.disk.checks.items import Item
from osbuild_compose.problem import Problem

DOS_PARTITIONS = 4
DOS_BYTES = 512 << 32


def problems(disk: Item, partitions: Sequence[Item]) -> Iterator[Problem]:
    """All of it."""
    for key in ("uuid", "partition_uuid"):
        yield from _twice(key, partitions)
    if disk.get("table") != "dos":
        return
    has_root = any("/" in items.points(item) for item in partitions)
    count = len(partitions) + (not has_root)
    if count > DOS_PARTITIONS:
        what = f"a DOS partition table has {DOS_PARTITIONS} partitions at most, not {count}"
        yield Problem(("partitions",), what, "leave `table` out: a GPT has room for 128")
    wanted = disk.get("size")
    if items.is_amount(wanted) and (size.readable(wanted) or 0) > DOS_BYTES:
        yield Problem(("size",), "a DOS partition table is for disks of 2 TiB at most", "leave `table` out")
    active = [index for index, item in enumerate(partitions) if item.get("bootable") is True]
    for index in active[1:]:
        what = "two partitions are marked as the one to boot from"
        yield Problem(("partitions", index, "bootable"), what, "leave one of the marks out")
    for index, item in enumerate(partitions):
        trail = ("partitions", index)
        if item.get("verity") is True:
            what = "a DOS partition table has no partitions of hashes"
            yield Problem((*trail, "verity"), what, "leave `table` out, or `verity`")
        if items.type_of(item) == "bios-boot":
            yield Problem((*trail, "type"), "a DOS partition table has no BIOS boot partition", "leave it out")
        if "partition_uuid" in item:
            what = "partitions of a DOS table have no UUIDs but what follows from the disk's and their number"
            yield Problem((*trail, "partition_uuid"), what, "leave it out, or `table`")
        if "name" in item and "luks" not in item:  # which is called after it, too
            what = "partitions of a DOS table have no names"
            yield Problem((*trail, "name"), what, "write a `label` for the file system, or leave `table` out")


def _twice(key: str, partitions: Sequence[Item]) -> Iterator[Problem]:
    """The same identifier of two."""
    seen: set[str] = set()
    for trail, item in items.holding_files(partitions):
        value = item.get(key)
        if isinstance(value, str) and value.lower() in seen:
            yield Problem((*trail, key), f"two have the {key.replace('_', ' ')} {value}", "leave one of them out")
        seen.add(str(value).lower())
