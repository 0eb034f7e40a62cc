"""cpio archives, whose newest form (newc) is a header of text before each file."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from osbuild_compose.inspecting.area import Area
from osbuild_compose.inspecting.tools import ToolError
from osbuild_compose.inspecting.tree import Entry, Kind, Tree
from osbuild_compose.inspecting.trees.names import normal

_MAGIC = (b"070701", b"070702")
_HEADER = 110  # bytes
_NUMBERS = re.compile(rb"[0-9A-Fa-f]{104}")
_END = "TRAILER!!!"
_LONGEST = 4096  # bytes of a name or of a symlink's target: the kernel unpacks no longer ones
_KINDS = {0o100000: Kind.FILE, 0o040000: Kind.DIRECTORY, 0o120000: Kind.SYMLINK}


@dataclass
class _Linked:
    """A file with several names: those before its content, which comes with one of them, and then its entry."""

    waiting: list[str] = field(default_factory=list)
    entry: Entry | None = None


class CpioTree(Tree):
    """The files of a cpio archive (newc), as the kernel unpacks it; several in a row count as one."""

    def __init__(self, area: Area) -> None:
        """Raises ToolError if it is cut off."""
        self._area = area
        super().__init__(self._found())

    def content(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of the file at `path`."""
        handle = self.entries[path].handle
        size = self.entries[path].size
        assert isinstance(handle, int)
        return self._area.read(handle, min(limit, size))

    def _found(self) -> Iterator[tuple[str, Entry]]:
        at = 0
        files: dict[tuple[int, ...], _Linked] = {}
        while (header := self._area.read(at, _HEADER))[:6] in _MAGIC:
            if not _NUMBERS.fullmatch(header[6:]):
                raise ToolError("the archive is damaged or cut off")
            numbers = [int(header[6 + 8 * n : 14 + 8 * n], 16) for n in range(12)]
            inode, mode, _, _, links, _, size, *device, length = numbers
            if length > _LONGEST:
                raise ToolError("the archive is damaged: a name in it is too long")
            name = self._area.read(at + _HEADER, length).rstrip(b"\0").decode(errors="surrogateescape")
            data = _even(at + _HEADER + length)
            at = _even(data + size)
            if at > self._area.size + 3:
                raise ToolError("the archive is cut off")
            if name == _END:
                at = self._skip_zeroes(at)
                continue
            path = normal(name)
            kind = _KINDS.get(mode & 0o170000, Kind.OTHER)
            target = ""
            if kind is Kind.SYMLINK:
                target = self._area.read(data, min(size, _LONGEST)).decode(errors="surrogateescape")
            entry = Entry(kind, size if kind is Kind.FILE else 0, target, data)
            if kind is Kind.FILE and links > 1:
                yield from _names(files.setdefault((inode, *device[:2]), _Linked()), path, entry)
            elif path != "/":
                yield path, entry

    def _skip_zeroes(self, at: int) -> int:
        """Where something else than zeroes follows, or the end."""
        for offset, data in self._area.part(at, self._area.size).pieces():
            return at + offset + len(data) - len(data.lstrip(b"\0"))
        return self._area.size


def _names(file: _Linked, path: str, entry: Entry) -> Iterator[tuple[str, Entry]]:
    """The names of a file of which an entry is now known, or known better."""
    if entry.size:
        file.entry = entry
        yield from ((name, entry) for name in file.waiting)
        file.waiting.clear()
    elif file.entry is None:
        file.waiting.append(path)
    yield path, file.entry or entry


def _even(offset: int) -> int:
    return offset + 3 & ~3
