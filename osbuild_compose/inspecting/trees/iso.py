"""ISO 9660 discs, whose files xorriso says where they are; the bytes are read from there."""

import re
from collections.abc import Iterator

from osbuild_compose.inspecting.area import Area
from osbuild_compose.inspecting.tools import IMAGE, ToolError, Tools
from osbuild_compose.inspecting.tree import Entry, Kind, Tree

_BLOCK = 2048
# A row of report_lba: "File data lba:  extent, first block, blocks, size, 'path'".
_FILE = re.compile(r"^File data lba: +\d+ , +(\d+) , +\d+ , +(\d+) , '(.*)'$", re.MULTILINE)
_START = re.compile(r"^El Torito boot img : +(\d+) +(\w+) +y ", re.MULTILINE)


class IsoTree(Tree):
    """The files of an ISO 9660 disc. Files in several pieces (more than 4 GiB) are cut off after the first."""

    def __init__(self, area: Area, tools: Tools) -> None:
        """Raises ToolError if xorriso cannot read it."""
        self._area = area
        self._tools = tools
        super().__init__(self._found())

    def content(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of the file at `path`."""
        return self.area(path).read(0, limit)

    def area(self, path: str) -> Area:
        """Where the content of the file lies."""
        entry = self.entries[path]
        assert isinstance(entry.handle, int)
        return self._area.part(entry.handle * _BLOCK, entry.size)

    def starts(self) -> list[str]:
        """What the disc starts by: "bios", "uefi", in the order of its El Torito catalogue."""
        said = self._ask("-report_el_torito", "plain")
        return [firmware.lower() for _, firmware in _START.findall(said)]

    def _found(self) -> Iterator[tuple[str, Entry]]:
        for line in self._ask("-find", "/", "-type", "d").splitlines():
            if line.startswith("'/") and line.endswith("'") and line != "'/'":
                yield _plain(line[1:-1]), Entry(Kind.DIRECTORY)
        for row in _FILE.finditer(self._ask("-find", "/", "-type", "f", "-exec", "report_lba", "--")):
            yield _plain(row[3]), Entry(Kind.FILE, int(row[2]), handle=int(row[1]))

    def _ask(self, *question: str) -> str:
        argv = ["xorriso", "-no_rc", "-indev", f"stdio:{IMAGE}", *question]
        result = self._tools.run(argv, self._area.as_file(self._tools))
        if b"FAILURE" in result.stderr or b"FATAL" in result.stderr:
            raise ToolError(f"xorriso cannot read it: {result.reason}")
        return result.stdout.decode(errors="surrogateescape")


def _plain(quoted: str) -> str:
    """A path that xorriso quoted for a shell."""
    return quoted.replace("'\"'\"'", "'")
