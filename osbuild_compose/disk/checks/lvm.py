"""Volume groups and their logical volumes."""

from collections.abc import Iterator, Sequence

from osbuild_compose.blueprint.values import size
from osbuild_compose.blueprint.values.size import MIB
from osbuild_compose.disk.checks.items import Item, volumes
from osbuild_compose.disk.minimum_sizes import EXTENT
from osbuild_compose.problem import Problem, within

OF_FILE_SYSTEMS = ("mount", "file_system", "label", "uuid", "options", "compression", "subvolumes", "verity")


def least(item: Item) -> int:
    """The bytes that the partition's logical volumes take at least. Raises ValueError for what is not a size."""
    extents = [max(1, -(-size.least(volume) // EXTENT)) for volume in volumes(item)]
    return MIB + sum(extents) * EXTENT if extents else 0


def problems(partitions: Sequence[Item]) -> Iterator[Problem]:
    """All that is wrong with the groups on these partitions."""
    groups: set[str] = set()
    for index, item in enumerate(partitions):
        trail = ("partitions", index)
        yield from within(trail, _group(item))
        name = item.get("volume_group")
        if isinstance(name, str):
            if name in groups:
                what = f"two volume groups are called {name}"
                yield Problem(
                    (*trail, "volume_group"), what, "a group lies on one partition here; give it another name"
                )
            groups.add(name)


def _group(item: Item) -> Iterator[Problem]:
    if "volume_group" in item and "logical_volumes" not in item:
        yield Problem(
            ("volume_group",), "a volume group without `logical_volumes`", "list them, or give a file system instead"
        )
    if "logical_volumes" in item and "volume_group" not in item:
        yield Problem(("logical_volumes",), "logical volumes of no group", "name the group: `volume_group`")
    for key in OF_FILE_SYSTEMS:
        if "volume_group" in item and key in item:
            yield Problem((key,), f"a partition with a volume group has no `{key}`", "its logical volumes have")
    names: set[str] = set()
    for number, volume in enumerate(volumes(item)):
        name = volume.get("name")
        if isinstance(name, str) and name in names:
            yield Problem(("logical_volumes", number, "name"), f"two logical volumes are called {name}")
        names.add(str(name))
