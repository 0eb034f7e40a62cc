"""Split a tree by mount points into the content of each file system, without copying it.

Each part is a bind mount of its directory, in which the mount points of further file systems are covered by empty
directories; the mounts are in the sandbox's own namespace. A tree that goes into one file system is not mounted at all.
"""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import MappingProxyType

from stagelib import tree_paths
from stagelib.disk import layout, output, sizes, tools
from stagelib.errors import StageError


@dataclass(frozen=True)
class TreePart:
    """The content of a file system: the directory `path` on this machine, which is the tree's `mountpoint`."""

    path: str
    mountpoint: str

    @property
    def size(self) -> sizes.TreeSize:
        """Its size. Walks it."""
        return sizes.of_tree(self.path)


@contextmanager
def split(
    tree: str, mountpoints: Sequence[str], instead: Mapping[str, str] = MappingProxyType({})
) -> Iterator[dict[str, TreePart]]:
    """The content of each of the mount points, absolute paths in `tree`.

    instead: files of this machine that replace files of the tree, by the latter's absolute paths.
    Raises StageError when a mount point is not a directory of the tree, or "/" is missing but other parts are there.
    """
    if (list(mountpoints) == ["/"] and not instead) or not mountpoints:
        yield {point: TreePart(tree, point) for point in mountpoints}
        return
    with output.scratch() as work, ExitStack() as stack:
        parts = {
            point: TreePart(_part(tree, point, mountpoints, os.path.join(work, str(number)), stack), point)
            for number, point in enumerate(sorted(mountpoints))
        }
        for path, file in instead.items():
            point = max((one for one in mountpoints if layout.within(path, one)), key=len)
            stack.enter_context(bound(file, os.path.join(parts[point].path, os.path.relpath(path, point))))
        yield parts


@contextmanager
def bound(source: str, target: str) -> Iterator[None]:
    """Bind-mount the directory or file `source` at `target`."""
    with mounted(["--bind", source], target):
        yield


@contextmanager
def mounted(argv: Sequence[str], target: str) -> Iterator[None]:
    """Mount at the directory or file `target` with the given arguments of mount(8)."""
    tools.run(["mount", *argv, target])
    try:
        yield
    finally:
        tools.run(["umount", target])


def _part(tree: str, point: str, mountpoints: Sequence[str], target: str, stack: ExitStack) -> str:
    os.mkdir(target)
    stack.enter_context(bound(_directory(tree, point), target))
    inner = [other for other in mountpoints if other != point and layout.within(other, point)]
    for number, other in enumerate(sorted(inner)):
        if not any(layout.within(other, one) for one in inner if one != other):
            cover = f"{target}-cover-{number}"
            _cover(_directory(tree, other), cover)
            stack.enter_context(bound(cover, os.path.join(target, os.path.relpath(other, point))))
    return target


def _directory(tree: str, point: str) -> str:
    """The directory on this machine. Symlinks are refused: mount(8) would follow them."""
    host = os.path.join(tree, point.lstrip("/"))
    if os.path.realpath(host) != os.path.realpath(tree).rstrip("/") + point.rstrip("/"):
        raise StageError(f"the mount point {point} leads through a symlink in the tree", "name the directory itself")
    if not os.path.isdir(tree_paths.resolve(tree, point)):
        raise StageError(f"the tree has no directory {point} to mount a file system at", "add it to directories")
    return host


def _cover(source: str, cover: str) -> None:
    """Create an empty directory with the owner, mode, time and settable attributes of `source`."""
    os.mkdir(cover)
    info = os.stat(source)
    os.chown(cover, info.st_uid, info.st_gid)
    shutil.copystat(source, cover)  # attributes that cannot be set are left out
