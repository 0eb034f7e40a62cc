"""What a DOS partition table has no place for."""

from collections.abc import Iterator, Sequence

from osbuild_compose.blueprint.disk_checks import content
from osbuild_compose.blueprint.disk_checks.content import Item
from osbuild_compose.blueprint.walk import Problem

DOS_PARTITIONS = 4


def problems(disk: Item, partitions: Sequence[Item]) -> Iterator[Problem]:
    """All of it."""
    if disk.get("table") != "dos":
        return
    has_root = any("/" in content.points(item) for item in partitions)
    count = len(partitions) + (not has_root)
    if count > DOS_PARTITIONS:
        what = f"a DOS partition table has {DOS_PARTITIONS} partitions at most, not {count}"
        yield ("partitions",), what, "leave `table` out: a GPT has room for 128"
    for index, item in enumerate(partitions):
        if item.get("verity") is True:
            what = "a DOS partition table has no partitions of hashes"
            yield ("partitions", index, "verity"), what, "leave `table` out, or `verity`"
        if content.type_of(item) == "bios-boot":
            yield ("partitions", index, "type"), "a DOS partition table has no BIOS boot partition", "leave it out"
