"""squashfs, read with unsquashfs."""

import re
from collections.abc import Iterator

from osbuild_compose.inspecting.extent import Extent
from osbuild_compose.inspecting.tools import IMAGE, MAX_OUTPUT, ToolError, Tools
from osbuild_compose.inspecting.tree import MAX_TARGET, Entry, FileType, Tree

# A row of -lln: mode, uid/gid, size (a device has its numbers), date, time, then the path below the root.
_ROW = re.compile(r"^([-dlcbpsDLCBPS])[-rwxsStT]{9} \d+/\d+ +(\d+|\d+, *\d+) \d{4}-\d\d-\d\d \d\d:\d\d /(.*)$")
_KINDS = {"-": FileType.FILE, "d": FileType.DIRECTORY, "l": FileType.SYMLINK}
_KINDS |= {"c": FileType.DEVICE, "b": FileType.DEVICE}
_ARROW = " -> "


class SquashfsTree(Tree):
    """The files of a squashfs file system."""

    def __init__(self, extent: Extent, tools: Tools) -> None:
        """Raises ToolError if unsquashfs cannot read it."""
        self._extent = extent
        self._tools = tools
        super().__init__(_entries(self._run("-d", "", "-lln")))

    def content(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of the file at `path`."""
        return self._run("-no-wildcards", "-cat", path=path, limit=limit)

    def _run(self, *options: str, path: str = "", limit: int = MAX_OUTPUT) -> bytes:
        argv = ["unsquashfs", "-offset", str(self._extent.offset), *options, IMAGE, *([path] if path else [])]
        result = self._tools.run(argv, self._extent.path, limit=limit)
        if result.status != 0 and not result.stdout:
            raise ToolError(f"unsquashfs cannot read it: {result.reason}")
        return result.stdout


def _entries(listing: bytes) -> Iterator[tuple[str, Entry]]:
    """The rows of a listing. A name that contains a newline is cut off there: unsquashfs does not escape it."""
    for line in listing.decode(errors="surrogateescape").split("\n"):
        found = _ROW.match(line)
        if found is None or not found[3]:
            continue
        kind = _KINDS.get(found[1].lower() if found[1] != "-" else "-", FileType.OTHER)
        name, _, target = found[3].partition(_ARROW) if kind is FileType.SYMLINK else (found[3], "", "")
        size = int(found[2]) if kind is FileType.FILE else 0
        yield f"/{name}", Entry(kind, size, target[:MAX_TARGET])
