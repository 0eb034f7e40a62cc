"""A directory of this machine: one that was given, or what a program took out of an image."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from osbuild_compose.inspecting.area import Area
from osbuild_compose.inspecting.tree import Entry, Kind, Tree


class DirectoryTree(Tree):
    """The files below a directory. Symlinks are read, never followed by this machine's kernel."""

    def __init__(self, top: Path) -> None:
        self._top = top
        super().__init__(_walk(os.fspath(top)))

    def content(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of the file at `path`."""
        # What is above the last part are directories, as entries are found by walking; nothing changes them meanwhile.
        handle = os.open(os.fspath(self._top) + path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            return file.read(limit)

    def extract(self, path: str) -> Area:
        """The file that the walk found at `path`."""
        return Area.whole(Path(os.fspath(self._top) + path))


def _walk(top: str) -> Iterator[tuple[str, Entry]]:
    todo = [""]
    while todo:
        above = todo.pop()
        try:
            found = list(os.scandir(f"{top}{above}/"))
        except PermissionError:
            continue
        for item in found:
            path = f"{above}/{item.name}"
            about = item.stat(follow_symlinks=False)
            handle = (about.st_dev, about.st_ino)
            if stat.S_ISLNK(about.st_mode):
                yield path, Entry(Kind.SYMLINK, target=os.readlink(item.path), handle=handle)
            elif stat.S_ISDIR(about.st_mode):
                yield path, Entry(Kind.DIRECTORY, handle=handle)
                todo.append(path)
            elif stat.S_ISREG(about.st_mode):
                yield path, Entry(Kind.FILE, about.st_size, handle=handle)
            else:
                yield path, Entry(Kind.OTHER, handle=handle)
