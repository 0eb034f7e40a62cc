"""Walk through a tree that may be hostile, however deep it is.

Every directory is opened beneath one that is open already, without following links and without crossing into a mount.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from stagelib import openat2, tree_paths

FAR = 2048  # bytes of a relative path at which a directory is opened for what is below it: a path may have 4096


class _Base:
    """An open directory, closed when nothing refers to it any more."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


@dataclass(frozen=True)
class Directory:
    """A directory that was reached.

    path: in the tree, without a slash in front ("" is the tree's root); names: sorted names of the directories in it;
    files: those of everything else in it, symlinks included.
    """

    path: str
    names: list[str]
    files: list[str]
    _base: _Base
    _relative: str

    def set_time(self, when: int) -> None:
        """Set its time of modification, seconds since 1970."""
        os.utime(self._relative, (when, when), dir_fd=self._base.fd, follow_symlinks=False)


def walk(tree: str, path: str = "/") -> Iterator[Directory]:
    """The directory `path` and all below it, parents first; nothing when it is no directory. Raises OSError."""
    top = tree_paths.inside(tree, path)
    if not tree_paths.is_dir(tree, top):
        return
    with tree_paths.opened(tree, top, os.O_PATH | os.O_DIRECTORY) as fd:
        todo = [(_Base(os.dup(fd)), ".", top)]
    while todo:
        base, relative, here = todo.pop()
        try:
            fd = openat2.openat2(
                base.fd, relative, tree_paths.DIRECTORY, openat2.BENEATH | openat2.NO_SYMLINKS | openat2.NO_XDEV
            )
        except OSError as error:
            error.filename = f"/{here}"
            raise
        with os.scandir(fd) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        names, files = (sorted(name for name, is_dir in found if is_dir is kind) for kind in (True, False))
        inner, prefix = (_Base(fd), "") if len(relative) > FAR else (base, relative)
        if inner is base:
            os.close(fd)
        yield Directory(here, names, files, base, relative)
        todo += [(inner, os.path.join(prefix, name), os.path.join(here, name)) for name in reversed(names)]
