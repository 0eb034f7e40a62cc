"""ext2, ext3 and ext4, read by debugfs."""

import re
from collections.abc import Iterator, Sequence

from osbuild_compose.inspecting.area import Area
from osbuild_compose.inspecting.tools import IMAGE, MAX_OUTPUT, ToolError, Tools
from osbuild_compose.inspecting.tree import MAX_ENTRIES, Entry, Kind, TooMuchError, Tree

_ROOT = 2  # the inode of the top directory
# A row of `ls -p`: /inode/mode/uid/gid/name/size/. No name has a slash; sizes of directories are left out.
_ROW = re.compile(r"/(\d+)/(\d{6})/\d+/\d+/([^/]*)/(\d*)/\n")
_KINDS = {0o100000: Kind.FILE, 0o040000: Kind.DIRECTORY, 0o120000: Kind.SYMLINK}
_MAX_DEPTH = 400  # directories in each other


class ExtTree(Tree):
    """The files of an ext2, ext3 or ext4 file system."""

    def __init__(self, area: Area, tools: Tools) -> None:
        """Raises ToolError if debugfs cannot read it."""
        self._area = area
        self._tools = tools
        super().__init__(self._links(dict(self._walk())))

    def content(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of the file at `path`."""
        return self._run(["-R", f"cat <{self.entries[path].handle}>"], limit=limit)

    def _walk(self) -> Iterator[tuple[str, Entry]]:
        """All entries, a level of directories at a time: one run of debugfs for each."""
        level = {_ROOT: ""}
        seen = {_ROOT}
        count = 0
        for _ in range(_MAX_DEPTH):
            below: dict[int, str] = {}
            listings = self._each("ls -p", list(level))
            for (_, above), listing in zip(level.items(), listings, strict=True):
                for number, mode, name, size in _ROW.findall(listing):
                    inode = int(number)
                    if name in (".", "..", "") or inode == 0:
                        continue
                    kind = _KINDS.get(int(mode, 8) & 0o170000, Kind.OTHER)
                    path = f"{above}/{name}"
                    yield path, Entry(kind, int(size or 0) if kind is Kind.FILE else 0, handle=inode)
                    count += 1
                    if kind is Kind.DIRECTORY and inode not in seen:  # a hostile one may be in itself
                        seen.add(inode)
                        below[inode] = path
            if count > MAX_ENTRIES:
                raise TooMuchError(f"it has more than {MAX_ENTRIES} files")
            if not below:
                return
            level = below

    def _links(self, entries: dict[str, Entry]) -> dict[str, Entry]:
        """The entries, symlinks with their targets."""
        inodes = list({entry.handle for entry in entries.values() if entry.kind is Kind.SYMLINK})
        targets: dict[object, str] = {}
        slow = []
        for inode, said in zip(inodes, self._each("stat", inodes), strict=True):
            fast = re.search(r'^Fast link dest: "(.*)"\n', said, re.MULTILINE | re.DOTALL)
            if fast:
                targets[inode] = fast[1]
            else:
                slow.append(inode)
        targets |= zip(slow, self._each("cat", slow), strict=True)
        for path, entry in entries.items():
            if entry.kind is Kind.SYMLINK:
                entries[path] = Entry(Kind.SYMLINK, target=targets[entry.handle], handle=entry.handle)
        return entries

    def _each(self, command: str, inodes: Sequence[object]) -> list[str]:
        """What debugfs answers to the command for each of the inodes."""
        if not inodes:
            return []
        lines = [f"{command} <{inode}>" for inode in inodes]
        said = self._run(["-f", "/dev/stdin"], given="\n".join(lines).encode() + b"\n")
        rest = said.decode(errors="surrogateescape")
        answers = []
        # It repeats each command before its answer.
        _, _, rest = rest.partition(f"debugfs: {lines[0]}\n")
        for following in lines[1:]:
            answer, _, rest = rest.partition(f"debugfs: {following}\n")
            answers.append(answer)
        return [*answers, rest]

    def _run(self, arguments: Sequence[str], *, given: bytes = b"", limit: int = MAX_OUTPUT) -> bytes:
        argv = ["debugfs", *arguments, f"{IMAGE}?offset={self._area.offset}"]
        result = self._tools.run(argv, self._area.path, given=given, limit=limit)
        if b"Filesystem not open" in result.stderr or (result.status != 0 and not result.stdout):
            raise ToolError(f"debugfs cannot read it: {result.reason}")
        return result.stdout
