"""Mount points, each of one file system."""

from collections.abc import Iterator, Sequence

from osbuild_compose.blueprint.disk_checks import content
from osbuild_compose.blueprint.disk_checks.content import Item
from osbuild_compose.blueprint.walk import Problem


def problems(partitions: Sequence[Item]) -> Iterator[Problem]:
    """Those that another partition has already."""
    seen: set[str] = set()
    for index, item in enumerate(partitions):
        for point in content.points(item):
            if point in seen:
                yield ("partitions", index), f"two file systems are mounted at {point}", ""
            seen.add(point)
