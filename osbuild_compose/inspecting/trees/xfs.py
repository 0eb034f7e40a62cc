"""XFS, whose xfs_db tells where things are; the bytes are read from there, as it copies no files out."""

import re
import struct
from collections.abc import Iterator, Sequence

from osbuild_compose.inspecting.area import Area
from osbuild_compose.inspecting.tools import IMAGE, ToolError, Tools
from osbuild_compose.inspecting.tree import MAX_ENTRIES, Entry, Kind, TooMuchError, Tree

# A row of `ls`: cookie, inode, type, hash, length of the name in bytes, then the name, whatever is in it.
_ROW = re.compile(rb"^\d+ +(\d+) +(\w+) +0x[0-9a-f]+ +(\d+) ", re.MULTILINE)
_KINDS = {b"regular": Kind.FILE, b"directory": Kind.DIRECTORY, b"symlink": Kind.SYMLINK}
_EXTENT = re.compile(r"data offset (\d+) startblock \d+ \((\d+)/(\d+)\) count (\d+) flag (\d)")
_UNWRITTEN = "1"
_MAX_DEPTH = 400
_SYMLINK_HEADER = b"XSLM"  # in front of a target that is in a block, 56 bytes; not on the oldest versions


class XfsTree(Tree):
    """The files of an XFS file system."""

    def __init__(self, area: Area, tools: Tools) -> None:
        """Raises ToolError if xfs_db cannot read it."""
        self._area = area
        self._tools = tools
        self._image = area.as_file(tools)
        block = area.read(0, 128)
        self._block_size = struct.unpack_from(">I", block, 4)[0]
        self._root = struct.unpack_from(">Q", block, 56)[0]
        self._group_blocks = struct.unpack_from(">I", block, 84)[0]
        super().__init__(self._details(dict(self._walk())))

    def content(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of the file at `path`."""
        entry = self.entries[path]
        return self._bytes(entry.handle, min(entry.size, limit))

    def _bytes(self, inode: object, size: int) -> bytes:
        """The first bytes of an inode that has blocks."""
        made = bytearray(size)
        said = self._ask([[f"inode {inode}", "bmap -d"]])[0].decode(errors="replace")
        for at, group, block, count, flag in _EXTENT.findall(said):
            start = int(at) * self._block_size
            if start >= size or flag == _UNWRITTEN:
                continue
            place = (int(group) * self._group_blocks + int(block)) * self._block_size
            data = self._area.read(place, min(int(count) * self._block_size, size - start))
            made[start : start + len(data)] = data
        return bytes(made)

    def _walk(self) -> Iterator[tuple[str, Entry]]:
        level = {self._root: ""}
        seen = {self._root}
        count = 0
        for _ in range(_MAX_DEPTH):
            below: dict[int, str] = {}
            listings = self._ask([[f"inode {inode}", "ls"] for inode in level])
            for above, listing in zip(level.values(), listings, strict=True):
                for inode, kind, name in _rows(listing):
                    path = f"{above}/{name}"
                    yield path, Entry(kind, handle=inode)
                    count += 1
                    if kind is Kind.DIRECTORY and inode not in seen:
                        seen.add(inode)
                        below[inode] = path
            if count > MAX_ENTRIES:
                raise TooMuchError(f"it has more than {MAX_ENTRIES} files")
            if not below:
                return
            level = below

    def _details(self, entries: dict[str, Entry]) -> dict[str, Entry]:
        """The entries with their sizes and targets."""
        inodes = list({entry.handle for entry in entries.values() if entry.kind in (Kind.FILE, Kind.SYMLINK)})
        asked = [[f"inode {inode}", "print core.size", "print u3.symlink"] for inode in inodes]
        about = dict(zip(inodes, self._ask(asked), strict=True))
        for path, entry in entries.items():
            if entry.handle not in about:
                continue
            said = about[entry.handle].decode(errors="surrogateescape")
            found = re.search(r"core\.size = (\d+)", said)
            size = int(found[1]) if found else 0
            if entry.kind is Kind.FILE:
                entries[path] = Entry(Kind.FILE, size, handle=entry.handle)
                continue
            near = re.search(r'u3\.symlink = "(.*)"', said, re.DOTALL)
            entries[path] = Entry(Kind.SYMLINK, 0, near[1] if near else self._far(entry.handle, size), entry.handle)
        return entries

    def _far(self, inode: object, size: int) -> str:
        """The target of a symlink that is in a block of its own."""
        data = self._bytes(inode, min(size, 1024) + 56)
        data = data[56:] if data.startswith(_SYMLINK_HEADER) else data
        return data[:size].split(b"\0")[0].decode(errors="surrogateescape")

    def _ask(self, questions: Sequence[Sequence[str]]) -> list[bytes]:
        """What xfs_db answers to each of the questions, which are some commands each."""
        if not questions:
            return []
        mark = "inode"  # without a number it says which one is the current one: a line that ends each answer
        given = "".join("\n".join([*commands, mark, ""]) for commands in questions)
        result = self._tools.run(["xfs_db", "-r", "-f", IMAGE], self._image, given=given.encode())
        answers = re.split(
            rb"^current inode number is \d+\n", result.stdout.replace(b"xfs_db> ", b""), flags=re.MULTILINE
        )
        if len(answers) <= len(questions):
            raise ToolError(f"xfs_db cannot read it: {result.reason}")
        return answers[: len(questions)]


def _rows(listing: bytes) -> Iterator[tuple[int, Kind, str]]:
    """Inode, kind and name of each row."""
    at = 0
    while found := _ROW.search(listing, at):
        end = found.end() + int(found[3])
        name = listing[found.end() : end].decode(errors="surrogateescape")
        at = max(end, found.end())
        if name not in (".", "..", "") and "/" not in name:
            yield int(found[1]), _KINDS.get(found[2], Kind.OTHER), name
