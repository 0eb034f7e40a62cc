"""ext2, ext3 and ext4, read by debugfs."""

import re
from collections.abc import Hashable, Iterator, Sequence

from osbuild_compose.inspecting.area import Area
from osbuild_compose.inspecting.tools import IMAGE, MAX_OUTPUT, ToolError, Tools
from osbuild_compose.inspecting.tree import MAX_TARGET, Entry, Kind, Tree
from osbuild_compose.inspecting.trees.levels import walk

_ROOT = 2  # the inode of the top directory
# A row of `ls -p`: /inode/mode/uid/gid/name/size/. No name has a slash; sizes of directories are left out.
_ROW = re.compile(r"/(\d+)/(\d{6})/\d+/\d+/([^/]*)/(\d*)/\n")
_KINDS = {0o100000: Kind.FILE, 0o040000: Kind.DIRECTORY, 0o120000: Kind.SYMLINK}


class ExtTree(Tree):
    """The files of an ext2, ext3 or ext4 file system."""

    def __init__(self, area: Area, tools: Tools) -> None:
        """Raises ToolError if debugfs cannot read it."""
        self._area = area
        self._tools = tools
        super().__init__(walk(_ROOT, lambda inodes: map(_rows, self._each("ls -p", inodes))))
        self._add_targets()

    def content(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of the file at `path`."""
        return self._run(["-R", f"cat <{self.entries[path].handle}>"], limit=limit)

    def _add_targets(self) -> None:
        """Give the symlinks their targets."""
        links = {path: entry for path, entry in self.entries.items() if entry.kind is Kind.SYMLINK}
        inodes = list({entry.handle for entry in links.values()})
        targets: dict[Hashable, str] = {}
        slow = []
        for inode, said in zip(inodes, self._each("stat", inodes), strict=True):
            fast = re.search(r'^Fast link dest: "(.*)"\n', said, re.MULTILINE | re.DOTALL)
            if fast:
                targets[inode] = fast[1]
            else:
                slow.append(inode)
        targets |= zip(slow, self._each("cat", slow), strict=True)
        for path, entry in links.items():
            self.entries[path] = Entry(Kind.SYMLINK, target=targets[entry.handle][:MAX_TARGET], handle=entry.handle)

    def _each(self, command: str, inodes: Sequence[Hashable]) -> list[str]:
        """What debugfs answers to the command for each of the inodes."""
        if not inodes:
            return []
        lines = [f"{command} <{inode}>" for inode in inodes]
        raw = self._run(["-f", "/dev/stdin"], given="\n".join(lines).encode() + b"\n")
        said = raw.decode(errors="surrogateescape")
        answers = []
        at = 0
        # It repeats each command before its answer.
        for line in lines:
            mark = f"debugfs: {line}\n"
            found = said.find(mark, at)
            end = found if found >= 0 else len(said)
            answers.append(said[at:end])
            at = min(end + len(mark), len(said))
        return [*answers[1:], said[at:]]

    def _run(self, arguments: Sequence[str], *, given: bytes = b"", limit: int = MAX_OUTPUT) -> bytes:
        argv = ["debugfs", *arguments, f"{IMAGE}?offset={self._area.offset}"]
        result = self._tools.run(argv, self._area.path, given=given, limit=limit)
        if b"Filesystem not open" in result.stderr or (result.status != 0 and not result.stdout):
            raise ToolError(f"debugfs cannot read it: {result.reason}")
        return result.stdout


def _rows(listing: str) -> Iterator[tuple[str, Entry]]:
    for row in _ROW.finditer(listing):
        inode, mode, name, size = row.groups()
        kind = _KINDS.get(int(mode, 8) & 0o170000, Kind.OTHER)
        if int(inode):
            yield name, Entry(kind, int(size or 0) if kind is Kind.FILE else 0, handle=int(inode))
