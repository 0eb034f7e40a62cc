"""Parameters for creating one file system."""

import os
import stat
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from stagelib.disk import labelled_view, layout, sizes
from stagelib.disk.labelled_view import View
from stagelib.disk.sizes import BLOCK, TreeSize
from stagelib.disk.tree_parts import TreePart


@dataclass(frozen=True)
class FsSpec:
    """One file system to make, its contents by mount point, and a directory for scratch files.

    tree: the whole tree, with the record of SELinux labels. epoch: seconds since 1970, for all times but those of
    modification. sector: bytes in a sector of the disk.
    """

    file_system: layout.FileSystem
    tree: str
    contents: Mapping[str, TreePart]
    work: str
    epoch: int
    sector: int = 512

    @property
    def content(self) -> str:
        """The directory with its top-level content; an empty one if there is none."""
        if self.file_system.mountpoint:
            return self.contents[self.file_system.mountpoint].path
        empty = os.path.join(self.work, "empty")
        os.makedirs(empty, mode=0o755, exist_ok=True)
        os.utime(empty, (self.epoch, self.epoch))
        return empty

    def labelled(self, *, stand_in: int = stat.S_IFCHR) -> AbstractContextManager[View]:
        """The directory with its top-level content, shown with SELinux labels and device nodes if there are any.

        stand_in: see stand_ins.shown.
        """
        if self.file_system.mountpoint is None:
            return nullcontext(View(self.content))
        return labelled_view.labelled(
            self.tree, self.file_system.mountpoint, self.content, self.work, stand_in=stand_in
        )

    def size(self) -> TreeSize:
        """What all its contents need together. Walks them."""
        parts = [self.contents[point].size for point in self.file_system.mountpoints]
        return TreeSize(1 + sum(part.inodes for part in parts), BLOCK + sum(part.data for part in parts))

    def largest(self) -> list[str]:
        """A description of its largest directories, the largest first."""
        found = [
            item for point in self.file_system.mountpoints for item in sizes.largest(self.contents[point].path, point)
        ]
        return [f"{path} {sizes.human(size)}" for size, path in sorted(found, reverse=True)]
