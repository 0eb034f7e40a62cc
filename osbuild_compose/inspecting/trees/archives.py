"""Archives: tar, of which Python knows all, and cpio, whose newest form is a header of text before each file."""

import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from osbuild_compose.inspecting.area import Area
from osbuild_compose.inspecting.tools import ToolError, Tools
from osbuild_compose.inspecting.tree import MAX_ENTRIES, Entry, Kind, TooMuchError, Tree

_CHUNK = 1024**2
_CPIO_MAGIC = (b"070701", b"070702")
_CPIO_HEADER = 110  # bytes
_CPIO_END = "TRAILER!!!"
_KINDS = {0o100000: Kind.FILE, 0o040000: Kind.DIRECTORY, 0o120000: Kind.SYMLINK}


class TarTree(Tree):
    """The files of a tar archive that is not compressed."""

    def __init__(self, path: Path) -> None:
        """Raises ToolError if it is none, or cut off."""
        self._path = path
        self._members: dict[str, tarfile.TarInfo] = {}
        try:
            with tarfile.open(path, "r:", errorlevel=2, encoding="utf-8", errors="surrogateescape") as archive:
                super().__init__(dict(self._entries(archive)))
        except tarfile.TarError as error:
            raise ToolError(f"the archive is damaged or cut off: {error}") from None

    def content(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of the file at `path`."""
        try:
            with tarfile.open(self._path, "r:") as archive:
                file = archive.extractfile(self._members[path])
                return file.read(limit) if file else b""
        except tarfile.TarError as error:
            raise ToolError(f"the archive is damaged or cut off: {error}") from None

    def area(self, path: str, tools: Tools) -> Area:
        """The content of the file: where it lies in the archive, or a copy of a sparse one, which is in pieces."""
        member = self._members[path]
        if not member.issparse():
            return Area(self._path, member.offset_data, member.size)
        target = tools.new_file()
        here = member.offset_data
        with self._path.open("rb") as source, target.open("r+b") as copy:
            copy.truncate(member.size)
            pieces: Any = member.sparse  # typeshed takes it for a number
            for offset, size in pieces:
                for at in range(0, size, _CHUNK):
                    os.pwrite(copy.fileno(), os.pread(source.fileno(), min(_CHUNK, size - at), here + at), offset + at)
                here += size
        return Area.whole(target)

    def _entries(self, archive: tarfile.TarFile) -> Iterator[tuple[str, Entry]]:
        for count, member in enumerate(archive):
            if count > MAX_ENTRIES:
                raise TooMuchError(f"it has more than {MAX_ENTRIES} files")
            path = normal(member.name)
            if member.islnk():
                first = self._members.get(normal(member.linkname))
                if first is None:
                    continue
                member = first  # noqa: PLW2901 - a hard link is the file it was first
            if path != "/":
                self._members[path] = member
                yield path, _tar_entry(member)


def _tar_entry(member: tarfile.TarInfo) -> Entry:
    if member.isdir():
        return Entry(Kind.DIRECTORY, handle=member.offset)
    if member.issym():
        return Entry(Kind.SYMLINK, target=member.linkname, handle=member.offset)
    if member.isreg():
        return Entry(Kind.FILE, member.size, handle=member.offset)
    return Entry(Kind.OTHER, handle=member.offset)


def normal(name: str) -> str:
    """The absolute path that the name in an archive stands for; ".." leads no higher than the top."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


class CpioTree(Tree):
    """The files of a cpio archive (newc), as the kernel unpacks it; several in a row count as one."""

    def __init__(self, area: Area) -> None:
        """Raises ToolError if it is cut off."""
        self._area = area
        super().__init__(dict(self._entries()))

    def content(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of the file at `path`."""
        handle = self.entries[path].handle
        size = self.entries[path].size
        assert isinstance(handle, int)
        return self._area.read(handle, min(limit, size))

    def _entries(self) -> Iterator[tuple[str, Entry]]:
        at = count = 0
        linked: dict[tuple[int, ...], list[str]] = {}
        while (header := self._area.read(at, _CPIO_HEADER))[:6] in _CPIO_MAGIC:
            try:
                inode, mode, _, _, links, _, size, *device, length = (
                    int(header[6 + 8 * n : 14 + 8 * n], 16) for n in range(12)
                )
            except ValueError:
                raise ToolError("the archive is damaged or cut off") from None
            name = self._area.read(at + _CPIO_HEADER, length).rstrip(b"\0").decode(errors="surrogateescape")
            data = _even(at + _CPIO_HEADER + length)
            at = _even(data + size)
            if at > self._area.size + 3:
                raise ToolError("the archive is cut off")
            if name == _CPIO_END:
                at = self._skip_zeroes(at)
                continue
            count += 1
            if count > MAX_ENTRIES:
                raise TooMuchError(f"it has more than {MAX_ENTRIES} files")
            path = normal(name)
            kind = _KINDS.get(mode & 0o170000, Kind.OTHER)
            target = self._area.read(data, min(size, 4096)).decode(errors="surrogateescape")
            entry = Entry(kind, size if kind is Kind.FILE else 0, target if kind is Kind.SYMLINK else "", data)
            if kind is Kind.FILE and links > 1:  # the content comes with the last of the names
                names = linked.setdefault((inode, *device[:2]), [])
                names.append(path)
                yield from ((one, entry) for one in names if size or one == path)
            elif path != "/":
                yield path, entry

    def _skip_zeroes(self, at: int) -> int:
        while data := self._area.read(at, 4096):
            rest = data.lstrip(b"\0")
            if rest:
                return at + len(data) - len(rest)
            at += len(data)
        return at


def _even(offset: int) -> int:
    return offset + 3 & ~3
