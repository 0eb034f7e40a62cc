"""Mount points, each of one file system, where a system can have one."""

from collections.abc import Iterator, Sequence

from osbuild_compose.disk.checks import items
from osbuild_compose.disk.checks.items import Item
from osbuild_compose.problem import Problem

OF_THE_KERNEL = ("/dev", "/proc", "/run", "/sys")  # hidden by what the kernel and systemd mount there
LINKS = ("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin")  # to the directories of /usr


def problems(partitions: Sequence[Item]) -> Iterator[Problem]:
    """Those that another partition has already, and those that keep a system from starting."""
    seen: set[str] = set()
    for index, item in enumerate(partitions):
        for point in items.points(item):
            trail = ("partitions", index)
            top = "/" + point.strip("/").split("/")[0]
            if point in seen:
                yield Problem(trail, f"two file systems are mounted at {point}")
            elif top in OF_THE_KERNEL:
                yield Problem(
                    trail, f"{point} is not on a disk: the system makes what is in {top} when it starts", "leave it out"
                )
            elif top in LINKS:
                yield Problem(trail, f"{point} cannot be a mount point: {top} leads to /usr{top}", f"write /usr{point}")
            elif point == "/etc":
                what = "/etc is on the root file system: what says where to mount it is in there"
                yield Problem(trail, what, "leave it out")
            seen.add(point)
