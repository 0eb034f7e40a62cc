"""ext2, ext3, ext4 and XFS, read with debugfs and xfs_db, which list directories by inode number."""

import re
import struct
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

from osbuild_compose.inspecting.extent import Extent
from osbuild_compose.inspecting.tools import IMAGE, MAX_OUTPUT, ToolError, Tools
from osbuild_compose.inspecting.tree import MAX_TARGET, Entry, FileType, Tree

_DEPTH_LIMIT = 400  # nested directories
_EXT_ROOT = 2  # the inode of the root directory
# A row of debugfs's `ls -p`: /inode/mode/uid/gid/name/size/. Names contain no slash; directories have no size.
_EXT_ROW = re.compile(r"/(\d+)/(\d{6})/\d+/\d+/([^/]*)/(\d*)/\n")
_EXT_KINDS = {0o100000: FileType.FILE, 0o040000: FileType.DIRECTORY, 0o120000: FileType.SYMLINK}
_EXT_KINDS |= {0o020000: FileType.DEVICE, 0o060000: FileType.DEVICE}
# A row of xfs_db's `ls`: cookie, inode, type, hash, length of the name in bytes, then the name with any bytes in it.
_XFS_ROW = re.compile(rb"^\d+ +(\d+) +(\w+) +0x[0-9a-f]+ +(\d+) ", re.MULTILINE)
_XFS_KINDS = {b"regular": FileType.FILE, b"directory": FileType.DIRECTORY, b"symlink": FileType.SYMLINK}
_XFS_KINDS |= {b"chardev": FileType.DEVICE, b"blkdev": FileType.DEVICE}
_XFS_EXTENT = re.compile(r"data offset (\d+) startblock \d+ \((\d+)/(\d+)\) count (\d+) flag (\d)")
_XFS_UNWRITTEN = "1"
# Precedes a symlink's target that is in a block of its own; 56 bytes, missing in the oldest versions of XFS.
_XFS_SYMLINK_HEADER = b"XSLM"
_XFS_SYMLINK_HEADER_SIZE = 56

Listing = Iterable[tuple[str, Entry]]


def walk(root: Hashable, listings: Callable[[Sequence[Hashable]], Iterable[Listing]]) -> Iterator[tuple[str, Entry]]:
    """All entries below the directory `root`, with their paths, down to a depth limit.

    listings takes the handles of directories and returns the entries of each: names, and entries with such handles.
    It is called once for all directories of one depth, as starting a program for each of them would be slow.
    """
    level: dict[Hashable, str] = {root: ""}
    seen = {root}
    for _ in range(_DEPTH_LIMIT):
        below: dict[Hashable, str] = {}
        for above, listing in zip(level.values(), listings(list(level)), strict=True):
            for name, entry in listing:
                if name in (".", "..", ""):
                    continue
                path = f"{above}/{name}"
                yield path, entry
                if entry.kind is FileType.DIRECTORY and entry.handle not in seen:  # a hostile one may contain itself
                    seen.add(entry.handle)
                    below[entry.handle] = path
        if not below:
            return
        level = below


class ExtTree(Tree):
    """The files of an ext2, ext3 or ext4 file system."""

    def __init__(self, extent: Extent, tools: Tools) -> None:
        """Raises ToolError if debugfs cannot read it."""
        self._extent = extent
        self._tools = tools
        super().__init__(walk(_EXT_ROOT, lambda inodes: map(_ext_rows, self._each("ls -p", inodes))))
        self._add_targets()

    def content(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of the file at `path`."""
        return self._run(["-R", f"cat <{self.entries[path].handle}>"], limit=limit)

    def _add_targets(self) -> None:
        """Add the targets of the symlinks to their entries."""
        links = {path: entry for path, entry in self.entries.items() if entry.kind is FileType.SYMLINK}
        inodes = list({entry.handle for entry in links.values()})
        targets: dict[Hashable, str] = {}
        slow = []
        for inode, output in zip(inodes, self._each("stat", inodes), strict=True):
            fast = re.search(r'^Fast link dest: "(.*)"\n', output, re.MULTILINE | re.DOTALL)
            if fast:
                targets[inode] = fast[1]
            else:
                slow.append(inode)
        targets |= zip(slow, self._each("cat", slow), strict=True)
        for path, entry in links.items():
            self.entries[path] = Entry(FileType.SYMLINK, target=targets[entry.handle][:MAX_TARGET], handle=entry.handle)

    def _each(self, command: str, inodes: Sequence[Hashable]) -> list[str]:
        """The output of a debugfs command for each of the inodes, from a single run."""
        if not inodes:
            return []
        lines = [f"{command} <{inode}>" for inode in inodes]
        raw = self._run(["-f", "/dev/stdin"], given="\n".join(lines).encode() + b"\n")
        output = raw.decode(errors="surrogateescape")
        parts = []
        at = 0
        # debugfs repeats each command before its output.
        for line in lines:
            mark = f"debugfs: {line}\n"
            found = output.find(mark, at)
            end = found if found >= 0 else len(output)
            parts.append(output[at:end])
            at = min(end + len(mark), len(output))
        return [*parts[1:], output[at:]]

    def _run(self, arguments: Sequence[str], *, given: bytes = b"", limit: int = MAX_OUTPUT) -> bytes:
        argv = ["debugfs", *arguments, f"{IMAGE}?offset={self._extent.offset}"]
        result = self._tools.run(argv, self._extent.path, given=given, limit=limit)
        if b"Filesystem not open" in result.stderr or (result.status != 0 and not result.stdout):
            raise ToolError(f"debugfs cannot read it: {result.reason}")
        return result.stdout


def _ext_rows(listing: str) -> Iterator[tuple[str, Entry]]:
    for row in _EXT_ROW.finditer(listing):
        inode, mode, name, size = row.groups()
        kind = _EXT_KINDS.get(int(mode, 8) & 0o170000, FileType.OTHER)
        if int(inode):
            yield name, Entry(kind, int(size or 0) if kind is FileType.FILE else 0, handle=int(inode))


class XfsTree(Tree):
    """The files of an XFS file system.

    xfs_db reports where the content of a file is and it is read from there: before xfsprogs 6.17 no program of XFS
    copies files out of an image.
    """

    def __init__(self, extent: Extent, tools: Tools) -> None:
        """Raises ToolError if xfs_db cannot read it."""
        self._extent = extent
        self._tools = tools
        self._image = extent.as_file(tools)
        block = extent.read(0, 128)
        self._block_size = struct.unpack_from(">I", block, 4)[0]
        self._root = struct.unpack_from(">Q", block, 56)[0]
        self._group_blocks = struct.unpack_from(">I", block, 84)[0]
        super().__init__(
            walk(self._root, lambda inodes: map(_xfs_rows, self._ask([[f"inode {i}", "ls"] for i in inodes])))
        )
        self._add_details()

    def content(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of the file at `path`."""
        entry = self.entries[path]
        return self._bytes(entry.handle, min(entry.size, limit))

    def _bytes(self, inode: Hashable, size: int) -> bytes:
        """The first bytes of an inode that has blocks."""
        content = bytearray(size)
        left = size  # bounds what a damaged inode with many overlapping extents can make us read
        output = self._ask([[f"inode {inode}", "bmap -d"]])[0].decode(errors="replace")
        for at, group, block, count, flag in _XFS_EXTENT.findall(output):
            start = int(at) * self._block_size
            if start >= size or left <= 0 or flag == _XFS_UNWRITTEN:
                continue
            place = (int(group) * self._group_blocks + int(block)) * self._block_size
            data = self._extent.read(place, min(int(count) * self._block_size, size - start))
            content[start : start + len(data)] = data
            left -= len(data)
        return bytes(content)

    def _add_details(self) -> None:
        """Add sizes and targets to the entries."""
        inodes = list(
            {entry.handle for entry in self.entries.values() if entry.kind in (FileType.FILE, FileType.SYMLINK)}
        )
        questions = [[f"inode {inode}", "print core.size", "print u3.symlink"] for inode in inodes]
        details = dict(zip(inodes, self._ask(questions), strict=True))
        for path, entry in self.entries.items():
            if entry.handle not in details:
                continue
            output = details[entry.handle].decode(errors="surrogateescape")
            found = re.search(r"core\.size = (\d+)", output)
            size = int(found[1]) if found else 0
            if entry.kind is FileType.FILE:
                self.entries[path] = Entry(FileType.FILE, size, handle=entry.handle)
                continue
            inline = re.search(r'u3\.symlink = "(.*)"', output, re.DOTALL)
            target = inline[1] if inline else self._remote_target(entry.handle, size)
            self.entries[path] = Entry(FileType.SYMLINK, 0, target, entry.handle)

    def _remote_target(self, inode: Hashable, size: int) -> str:
        """The target of a symlink that is in a block of its own."""
        data = self._bytes(inode, min(size, 1024) + _XFS_SYMLINK_HEADER_SIZE)
        data = data[_XFS_SYMLINK_HEADER_SIZE:] if data.startswith(_XFS_SYMLINK_HEADER) else data
        return data[:size].split(b"\0")[0].decode(errors="surrogateescape")

    def _ask(self, questions: Sequence[Sequence[str]]) -> list[bytes]:
        """The output of xfs_db for each of the questions, which are several commands each, from a single run."""
        if not questions:
            return []
        mark = "inode"  # without a number it prints the current inode: a line that ends the output of each question
        given = "".join("\n".join([*commands, mark, ""]) for commands in questions)
        result = self._tools.run(["xfs_db", "-r", "-f", IMAGE], self._image, given=given.encode())
        output = result.stdout.replace(b"xfs_db> ", b"")
        parts = re.split(rb"^current inode number is \d+\n", output, flags=re.MULTILINE)
        if len(parts) <= len(questions):
            raise ToolError(f"xfs_db cannot read it: {result.reason}")
        return parts[: len(questions)]


def _xfs_rows(listing: bytes) -> Iterator[tuple[str, Entry]]:
    at = 0
    while found := _XFS_ROW.search(listing, at):
        end = found.end() + int(found[3])
        name = listing[found.end() : end].decode(errors="surrogateescape")
        at = max(end, found.end())
        if "/" not in name:
            yield name, Entry(_XFS_KINDS.get(found[2], FileType.OTHER), handle=int(found[1]))
