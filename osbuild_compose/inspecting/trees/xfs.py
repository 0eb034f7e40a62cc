"""XFS, whose xfs_db tells where things are; the bytes are read from there, as it copies no files out."""

import re
import struct
from collections.abc import Hashable, Iterator, Sequence

from osbuild_compose.inspecting.area import Area
from osbuild_compose.inspecting.tools import IMAGE, ToolError, Tools
from osbuild_compose.inspecting.tree import Entry, Kind, Tree
from osbuild_compose.inspecting.trees.levels import walk

# A row of `ls`: cookie, inode, type, hash, length of the name in bytes, then the name, whatever is in it.
_ROW = re.compile(rb"^\d+ +(\d+) +(\w+) +0x[0-9a-f]+ +(\d+) ", re.MULTILINE)
_KINDS = {b"regular": Kind.FILE, b"directory": Kind.DIRECTORY, b"symlink": Kind.SYMLINK}
_EXTENT = re.compile(r"data offset (\d+) startblock \d+ \((\d+)/(\d+)\) count (\d+) flag (\d)")
_UNWRITTEN = "1"
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
        super().__init__(walk(self._root, lambda inodes: map(_rows, self._ask([[f"inode {i}", "ls"] for i in inodes]))))
        self._add_details()

    def content(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of the file at `path`."""
        entry = self.entries[path]
        return self._bytes(entry.handle, min(entry.size, limit))

    def _bytes(self, inode: Hashable, size: int) -> bytes:
        """The first bytes of an inode that has blocks."""
        made = bytearray(size)
        left = size  # of extents that overlap no more is read: they are damaged, and may be many
        said = self._ask([[f"inode {inode}", "bmap -d"]])[0].decode(errors="replace")
        for at, group, block, count, flag in _EXTENT.findall(said):
            start = int(at) * self._block_size
            if start >= size or left <= 0 or flag == _UNWRITTEN:
                continue
            place = (int(group) * self._group_blocks + int(block)) * self._block_size
            data = self._area.read(place, min(int(count) * self._block_size, size - start))
            made[start : start + len(data)] = data
            left -= len(data)
        return bytes(made)

    def _add_details(self) -> None:
        """Give the entries their sizes and targets."""
        inodes = list({entry.handle for entry in self.entries.values() if entry.kind in (Kind.FILE, Kind.SYMLINK)})
        asked = [[f"inode {inode}", "print core.size", "print u3.symlink"] for inode in inodes]
        about = dict(zip(inodes, self._ask(asked), strict=True))
        for path, entry in self.entries.items():
            if entry.handle not in about:
                continue
            said = about[entry.handle].decode(errors="surrogateescape")
            found = re.search(r"core\.size = (\d+)", said)
            size = int(found[1]) if found else 0
            if entry.kind is Kind.FILE:
                self.entries[path] = Entry(Kind.FILE, size, handle=entry.handle)
                continue
            near = re.search(r'u3\.symlink = "(.*)"', said, re.DOTALL)
            target = near[1] if near else self._far(entry.handle, size)
            self.entries[path] = Entry(Kind.SYMLINK, 0, target, entry.handle)

    def _far(self, inode: Hashable, size: int) -> str:
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


def _rows(listing: bytes) -> Iterator[tuple[str, Entry]]:
    at = 0
    while found := _ROW.search(listing, at):
        end = found.end() + int(found[3])
        name = listing[found.end() : end].decode(errors="surrogateescape")
        at = max(end, found.end())
        if "/" not in name:
            yield name, Entry(_KINDS.get(found[2], Kind.OTHER), handle=int(found[1]))
