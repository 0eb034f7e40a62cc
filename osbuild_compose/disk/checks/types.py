"""Types of partitions that the disk's partition table has."""

import re
from collections.abc import Iterator, Sequence

from osbuild_compose.disk.checks.items import Item
from osbuild_compose.disk.partition_types import GUIDS
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.problem import Problem

GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
BYTE = re.compile(r"[0-9a-fA-F]{1,2}")


def problems(disk: Item, partitions: Sequence[Item]) -> Iterator[Problem]:
    """Those that it has not."""
    dos = disk.get("table") == "dos"
    for index, item in enumerate(partitions):
        kind = item.get("type")
        if not isinstance(kind, str) or kind in GUIDS or (BYTE if dos else GUID).fullmatch(kind):
            continue
        names = [name for name in GUIDS if not (dos and name == "bios-boot")]
        form = "two hexadecimal digits, such as 83" if dos else "a GUID"
        hint = did_you_mean(kind, names) or f"it is {form}, or one of {', '.join(names)}"
        what = f"`{kind}` is not the type of a partition in a {'DOS partition table' if dos else 'GPT'}"
        yield Problem(("partitions", index, "type"), what, hint)
