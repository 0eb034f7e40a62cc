"""Extents: parts of a file that hold a file system or an archive."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from osbuild_compose.inspecting.tools import Tools

_CHUNK = 4 * 1024**2


@dataclass(frozen=True)
class Extent:
    """`size` bytes of the file `path`, from `offset` on."""

    path: Path
    offset: int
    size: int

    @classmethod
    def whole(cls, path: Path) -> "Extent":
        """A whole file."""
        return cls(path, 0, path.stat().st_size)

    def part(self, offset: int, size: int) -> "Extent":
        """A part of this extent, cut off at its end. offset counts from the beginning of this extent."""
        offset = min(max(offset, 0), self.size)
        return Extent(self.path, self.offset + offset, min(max(size, 0), self.size - offset))

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset` on; fewer at the end of the extent."""
        part = self.part(offset, size)
        handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(handle, part.size, part.offset)
        finally:
            os.close(handle)

    def pieces(self) -> Iterator[tuple[int, bytes]]:
        """The content without holes and chunks of zeroes: chunks with their offsets."""
        here, end = self.offset, self.offset + self.size
        with self.path.open("rb") as file:
            while here < end:
                try:
                    here = os.lseek(file.fileno(), here, os.SEEK_DATA)
                except OSError:  # only a hole is left
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
        """Whether it is the whole file."""
        return self.offset == 0 and self.size == self.path.stat().st_size

    def as_file(self, tools: Tools) -> Path:
        """A file with this content only, for programs that take no offset: the file itself, or a sparse copy."""
        return self.path if self.is_whole else _copy(self, tools)


def _copy(extent: Extent, tools: Tools) -> Path:
    """A sparse copy of the extent."""
    target = tools.new_file()
    with target.open("r+b") as copy:
        os.truncate(copy.fileno(), extent.size)
        for at, data in extent.pieces():
            os.pwrite(copy.fileno(), data, at)
    return target
