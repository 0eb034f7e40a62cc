"""What the makers of file systems are told."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from stagelib.disk import labelled_view, layout, sizes
from stagelib.disk.sizes import BLOCK, TreeSize
from stagelib.disk.tree_parts import TreePart


@dataclass(frozen=True)
class FsSpec:
    """One file system to make: what it is, what fills it (by mount point), and a directory for scratch files.

    tree: the whole tree, which knows the SELinux labels. epoch: seconds since 1970, for all times but those of
    modification. sector: bytes in a sector of the disk.
    """

    spec: layout.FileSystem
    tree: str
    contents: Mapping[str, TreePart]
    work: str
    epoch: int
    sector: int = 512

    @property
    def content(self) -> str:
        """The directory that fills its top; an empty one when nothing does."""
        if self.spec.mountpoint:
            return self.contents[self.spec.mountpoint].path
        empty = os.path.join(self.work, "empty")
        os.makedirs(empty, mode=0o755, exist_ok=True)
        os.utime(empty, (self.epoch, self.epoch))
        return empty

    def labelled(self) -> AbstractContextManager[str]:
        """The directory that fills its top, its files having their SELinux labels if they are to have any."""
        if self.spec.mountpoint is None:
            return nullcontext(self.content)
        return labelled_view.labelled(self.tree, self.spec.mountpoint, self.content, self.work)

    def size(self) -> TreeSize:
        """What all its contents need together; walks them."""
        parts = [self.contents[point].size for point in self.spec.mountpoints]
        return TreeSize(1 + sum(part.inodes for part in parts), BLOCK + sum(part.data for part in parts))

    def takes(self) -> list[str]:
        """What its largest directories are, for people, the largest first."""
        found = [item for point in self.spec.mountpoints for item in sizes.largest(self.contents[point].path, point)]
        return [f"{path} {sizes.human(size)}" for size, path in sorted(found, reverse=True)]
