"""A part of a file that holds a file system or an archive."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from osbuild_compose.inspecting.tools import Tools

_CHUNK = 4 * 1024**2


@dataclass(frozen=True)
class Area:
    """The `size` bytes of the file `path` from `offset` on."""

    path: Path
    offset: int
    size: int

    @classmethod
    def whole(cls, path: Path) -> "Area":
        """All of a file."""
        return cls(path, 0, path.stat().st_size)

    def part(self, offset: int, size: int) -> "Area":
        """A part of it, cut off where it ends; offset counts from its beginning."""
        offset = min(max(offset, 0), self.size)
        return Area(self.path, self.offset + offset, min(max(size, 0), self.size - offset))

    def read(self, offset: int, size: int) -> bytes:
        """Bytes from `offset` on; fewer where it ends."""
        part = self.part(offset, size)
        with self.path.open("rb") as file:
            return os.pread(file.fileno(), part.size, part.offset)

    def pieces(self) -> Iterator[tuple[int, bytes]]:
        """What is in it besides holes and zeroes, in chunks, each with its offset."""
        here, end = self.offset, self.offset + self.size
        with self.path.open("rb") as file:
            while here < end:
                try:
                    here = os.lseek(file.fileno(), here, os.SEEK_DATA)
                except OSError:  # nothing but a hole is left
                    return
                hole = min(os.lseek(file.fileno(), here, os.SEEK_HOLE), end)
                while here < hole:
                    data = os.pread(file.fileno(), min(_CHUNK, hole - here), here)
                    if not data:
                        return
                    if data.count(0) != len(data):
                        yield here - self.offset, data
                    here += len(data)

    @property
    def is_whole(self) -> bool:
        """Whether it is all of its file."""
        return self.offset == 0 and self.size == self.path.stat().st_size

    def as_file(self, tools: Tools) -> Path:
        """A file of just this, for programs that take no offset: the file itself, or a copy without its holes."""
        return self.path if self.is_whole else _copy(self, tools)


def _copy(area: Area, tools: Tools) -> Path:
    """The area in a file of its own, without its holes."""
    target = tools.new_file()
    with target.open("r+b") as copy:
        os.truncate(copy.fileno(), area.size)
        for at, data in area.pieces():
            os.pwrite(copy.fileno(), data, at)
    return target
