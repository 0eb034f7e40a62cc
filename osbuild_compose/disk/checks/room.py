"""Whether all has room where it is to be."""

from collections.abc import Iterator, Sequence

from osbuild_compose.blueprint.values import size
from osbuild_compose.blueprint.values.size import MIB
from osbuild_compose.disk.checks import lvm
from osbuild_compose.disk.checks.items import Item
from osbuild_compose.problem import Problem


def problems(disk: Item, partitions: Sequence[Item]) -> Iterator[Problem]:
    """Starts that overlap what is before them, and what is more than it lies on. All sizes can be read."""
    cursor = MIB
    for index, item in enumerate(partitions):
        length, least = size.least(item), lvm.least(item)
        if "size" in item and length < least:
            what = f"the partition is too small for its logical volumes, by {-(-(least - length) // MIB)} MiB"
            hint = f"write {-(-least // MIB)} MiB or more, or leave `size` out"
            yield Problem(("partitions", index, "size"), what, hint)
        if "start" in item:
            start = size.to_bytes(item["start"])
            if index and start < cursor:
                what = (
                    f"it overlaps the one before it, which ends at {cursor} bytes at the earliest, by {cursor - start}"
                )
                yield Problem(("partitions", index, "start"), what, f"write {cursor} or more, or leave `start` out")
            cursor = start
        cursor += max(length, least)
    if "size" in disk and cursor > size.to_bytes(disk["size"]):
        lack = cursor - size.to_bytes(disk["size"])
        what = f"the disk is too small for its partitions, by {-(-lack // MIB)} MiB"
        yield Problem(("size",), what, f"write {-(-cursor // MIB) + 1} MiB or more, or leave `size` out")
