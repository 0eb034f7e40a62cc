"""tar archives, of whose many kinds of headers Python's tarfile knows all.

An archive may be made to do harm, and tarfile trusts what headers say: how long they are, that members follow each
other, and that numbers are some.
"""

import io
import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osbuild_compose.inspecting.area import Area
from osbuild_compose.inspecting.tools import ToolError, Tools
from osbuild_compose.inspecting.tree import MAX_TARGET, Entry, Kind, TooMuchError, Tree
from osbuild_compose.inspecting.trees.names import normal

_CHUNK = 1024**2
_MAX_HEADER = 1024**2  # bytes of one that goes on behind its block: those of real files have some thousand
_MAX_HEADERS = 16 * 1024**2  # bytes of all in front of one member, a sparse file's list of pieces being the longest
_MAX_GLOBAL = 100  # values that a header sets for all members that follow
_MAX_PIECES = 1_000_000  # of all sparse files
_MAX_SIZE = 2**62  # bytes of a file: less than what Linux counts to
# tarfile looks for a number in a header in a time that grows with the square of its digits, before Python 3.11.10.
_DIGITS = re.compile(rb"[0-9]{256}")
# What tarfile raises for headers that make no sense: too long numbers, too many headers for one member.
_DAMAGED = (tarfile.TarError, ValueError, OverflowError, RecursionError, IndexError, KeyError)


@dataclass(frozen=True, slots=True)
class _Member:
    """Where the content of a file lies: from `offset` on; pieces are a sparse file's offsets and lengths."""

    offset: int
    size: int
    pieces: tuple[tuple[int, int], ...] | None


class TarTree(Tree):
    """The files of a tar archive that is not compressed."""

    def __init__(self, path: Path) -> None:
        """Raises ToolError if it is none, or cut off."""
        self._path = path
        self._members: dict[str, _Member] = {}
        try:
            super().__init__(self._found())
        except TooMuchError:
            raise
        except _DAMAGED as error:
            raise ToolError(f"the archive is damaged or cut off: {error}") from None

    def content(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of the file at `path`."""
        member = self._members[path]
        if member.pieces is None:
            return Area(self._path, member.offset, member.size).read(0, limit)
        made = bytearray(min(member.size, limit))
        for at, data in self._pieces(member):
            if at < len(made):
                made[at : at + len(data)] = data[: len(made) - at]
        return bytes(made)

    def area(self, path: str, tools: Tools) -> Area:
        """The content of the file: where it lies in the archive, or a copy of a sparse one, which is in pieces.

        Raises ToolError if there is no file.
        """
        found = self.resolve(path)
        if found is None or self.entries[found].kind is not Kind.FILE:
            raise ToolError(f"{path} is no file of the archive")
        member = self._members[found]
        if member.pieces is None:
            return Area(self._path, member.offset, member.size)
        target = tools.new_file()
        with target.open("r+b") as copy:
            copy.truncate(member.size)
            for at, data in self._pieces(member):
                os.pwrite(copy.fileno(), data, at)
        return Area.whole(target)

    def _pieces(self, member: _Member) -> Iterator[tuple[int, bytes]]:
        """What a sparse file has, with the offsets in it; no more than the archive has and the file can hold."""
        here = member.offset
        with self._path.open("rb") as source:
            for offset, size in member.pieces or ():
                end = min(offset + size, member.size)
                while offset < end and (data := os.pread(source.fileno(), min(_CHUNK, end - offset), here)):
                    yield offset, data
                    offset += len(data)  # noqa: PLW2901 - goes on behind what was read
                    here += len(data)

    def _found(self) -> Iterator[tuple[str, Entry]]:
        pieces = 0
        for member in _members(self._path):
            path = normal(member.name)
            if path == "/":
                continue
            if member.islnk():  # it is the file that it was first
                first = normal(member.linkname)
                if first not in self._members:
                    continue
                self._members[path] = self._members[first]
                yield path, self.entries[first]
            else:
                sparse = _pieces(member)
                pieces += len(sparse or ())
                if pieces > _MAX_PIECES:
                    raise TooMuchError(f"its sparse files have more than {_MAX_PIECES} pieces")
                self._members[path] = _Member(member.offset_data, member.size, sparse)
                yield path, _entry(member)


def _members(path: Path) -> Iterator[tarfile.TarInfo]:
    """All members in the order of the archive."""
    with _Headers(path) as file, _open(file) as archive:
        kept: list[tarfile.TarInfo] = vars(archive)["members"]
        before = -1
        while (member := archive.next()) is not None:
            if member.offset <= before or not 0 <= member.size <= _MAX_SIZE:
                raise ToolError("the archive is damaged: a file in it has a size that none can have")
            if len(archive.pax_headers) > _MAX_GLOBAL:
                raise ToolError("the archive is damaged: a header sets too much for all of its files")
            before = member.offset
            yield member
            kept.clear()  # they are many
            file.left = _MAX_HEADERS


def _open(file: "_Headers") -> tarfile.TarFile:
    return tarfile.open(fileobj=file, mode="r:", errorlevel=2, encoding="utf-8", errors="surrogateescape")


class _Headers(io.FileIO):
    """An archive of which tarfile reads headers, and no more than these have."""

    left = _MAX_HEADERS

    def read(self, size: int | None = -1, /) -> bytes:
        """As a file does. Raises TarError for more than any header has."""
        if size is None or not 0 <= size <= min(_MAX_HEADER, self.left):
            raise tarfile.ReadError("a header is too large")
        self.left -= size
        data = super().read(size) or b""
        if size > tarfile.BLOCKSIZE and _DIGITS.search(data):
            raise tarfile.ReadError("a header has a number that is none")
        return data


def _pieces(member: tarfile.TarInfo) -> tuple[tuple[int, int], ...] | None:
    """Offsets and lengths of what a sparse file has; None for another file."""
    if not member.issparse():
        return None
    found: Any = member.sparse  # typeshed takes it for a number
    if any(offset < 0 or size < 0 for offset, size in found):
        raise ToolError("the archive is damaged: a sparse file has a piece in front of its beginning")
    return tuple(found)


def _entry(member: tarfile.TarInfo) -> Entry:
    if member.isdir():
        return Entry(Kind.DIRECTORY, handle=member.offset)
    if member.issym():
        return Entry(Kind.SYMLINK, target=member.linkname[:MAX_TARGET], handle=member.offset)
    if member.isreg():
        return Entry(Kind.FILE, member.size, handle=member.offset)
    return Entry(Kind.OTHER, handle=member.offset)
