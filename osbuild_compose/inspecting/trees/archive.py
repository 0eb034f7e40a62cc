"""tar, cpio and ISO 9660 archives, listed and read by bsdtar."""

import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from osbuild_compose.inspecting.extent import Extent
from osbuild_compose.inspecting.tools import IMAGE, MAX_OUTPUT, OUT, ToolError, ToolResult, Tools
from osbuild_compose.inspecting.tree import MAX_TARGET, Entry, FileType, Stacked, TooMuchError, Tree

# A row of `bsdtar -tv`: mode, links, owner, group, size (two numbers for a device), three words of a date, the name,
# and where a link leads.
_ROW = re.compile(rb"^(\S)\S{9,10} +\d+ +\S+ +\S+ +([\d,]+) \S+ +\S+ +\S+ (.*)$", re.MULTILINE)
_KINDS = {b"-": FileType.FILE, b"d": FileType.DIRECTORY, b"l": FileType.SYMLINK}
_KINDS |= {b"c": FileType.DEVICE, b"b": FileType.DEVICE}
_HARD_LINK = b"h"  # tar's; in a cpio archive the names of one file look like files
_LINK_TO = b" link to "
_MAX_SPLITS = 10  # for names that contain " link to "
_MAX_SIZE = 2**62  # bytes of a file: Linux has no larger one
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)")
_ESCAPES = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
# bsdtar exits with status 1 after these too, although the archive is intact.
_HARMLESS = ("converted", "Removing leading", "Error exit delayed")
_READ_AHEAD = 8 * 1024**2  # bytes of small files of one directory that a single run of bsdtar reads
_MAX_SIBLINGS = 64  # files that a single run reads: bsdtar compares every name in the archive with each of them
_MAX_KEPT = 24 * 1024**2  # bytes of files that were read ahead


@dataclass(frozen=True, slots=True)
class _Member:
    """A file in the archive.

    name is as the archive has it, number its position in the archive, size in bytes. before is the size in bytes of
    earlier files of the same name, which bsdtar extracts first.
    """

    name: bytes
    number: int
    size: int
    before: int


class ArchiveTree(Tree):
    """The files of a tar, cpio or ISO 9660 archive."""

    def __init__(self, extent: Extent, tools: Tools) -> None:
        """Raises ToolError if the archive is damaged or cut off, MissingToolError without bsdtar."""
        self._image = extent.as_file(tools)
        self._tools = tools
        self._members: dict[str, _Member] = {}
        self._kept: dict[int, bytes] = {}
        super().__init__(self._found(self._listing()))

    def content(self, path: str, limit: int) -> bytes:
        """The first `limit` bytes of the file at `path`."""
        member = self._members[path]
        wanted = min(member.size, limit)
        if wanted == 0:
            return b""
        if member.before or wanted > _READ_AHEAD:
            return self._extract([member], member.before + wanted)[member.before :]
        if member.number not in self._kept:
            self._read_ahead(path)
        return self._kept[member.number][:wanted]

    def extract(self, path: str) -> Extent:
        """The content of the file at `path` as a file of its own, in which a sparse file keeps its holes.

        Raises ToolError if there is no such file or it cannot be extracted.
        """
        found = self.resolve(path)
        if found is None or self.entries[found].kind is not FileType.FILE:
            raise ToolError(f"{path} is no file of the archive")
        out = self._tools.new_directory()
        # Every name is replaced by "content": no name in the archive decides about a path.
        to_file = ["-C", OUT, "-s", ",.*,content,", "--no-same-owner", "--no-same-permissions"]
        plain = ["--no-xattrs", "--no-acls", "--no-fflags"]
        argv = ["bsdtar", "-xnf", IMAGE, *to_file, *plain, "--null", "-T", "/dev/stdin"]
        result = self._tools.run(argv, self._image, out, given=_pattern(self._members[found].name))
        content = out / "content"
        if _failed(result) or not os.path.lexists(content) or not stat.S_ISREG(content.lstat().st_mode):
            raise ToolError(f"{path} cannot be extracted: {_complaint(result)}")
        content.chmod(0o600)
        return Extent.whole(content)

    def _listing(self) -> bytes:
        result = self._tools.run(["bsdtar", "--numeric-owner", "-tvf", IMAGE], self._image)
        if len(result.stdout) >= MAX_OUTPUT:
            raise TooMuchError("it has more files, or longer names, than fit into memory")
        if _failed(result):
            raise ToolError(f"the archive is damaged or cut off: {_complaint(result)}")
        return result.stdout

    def _found(self, listing: bytes) -> Iterator[tuple[str, Entry]]:
        empty: dict[str, list[str]] = {}  # hard links, by their first path, whose content follows at a later one
        for number, row in enumerate(_ROW.finditer(listing)):
            mode, length, rest = row.groups()
            name, target, first = self._names(mode, rest)
            path = absolute(name)
            if path == "/":
                continue
            kind = FileType.FILE if first else _KINDS.get(mode, FileType.OTHER)
            size = int(length) if kind is FileType.FILE else 0
            if size > _MAX_SIZE:
                raise ToolError("the archive is damaged: it has a file of an impossible size")
            entry = Entry(kind, size, os.fsdecode(target)[:MAX_TARGET], number)
            if first and self.entries[first].size == 0:
                names = empty.setdefault(first, [first])
                names.append(path)
                for one in names if size else (path,):
                    yield self._file(one, name, entry) if size else self._link(one, first)
                if size:
                    del empty[first]
            elif first:
                yield self._link(path, first)
            elif kind is FileType.FILE:
                yield self._file(path, name, entry)
            elif mode != _HARD_LINK:
                self._members.pop(path, None)
                yield path, entry

    def _names(self, mode: bytes, rest: bytes) -> tuple[bytes, bytes, str | None]:
        """The name in a row, the target of a symbolic link, and the path of the file that a hard link refers to."""
        if mode == b"l":
            name, _, target = rest.partition(b" -> ")
            return _unescaped(name), _unescaped(target), None
        at = -1
        for _ in range(_MAX_SPLITS if mode in (b"-", _HARD_LINK) else 0):
            at = rest.find(_LINK_TO, at + 1)
            if at < 0:
                break
            first = absolute(_unescaped(rest[at + len(_LINK_TO) :]))
            if first in self._members:
                return _unescaped(rest[:at]), b"", first
        return _unescaped(rest), b"", None

    def _file(self, path: str, name: bytes, entry: Entry) -> tuple[str, Entry]:
        assert isinstance(entry.handle, int)
        old = self._members.get(path)
        before = old.before + old.size if old and absolute(old.name) == path else 0
        self._members[path] = _Member(name, entry.handle, entry.size, before)
        return path, entry

    def _link(self, path: str, first: str) -> tuple[str, Entry]:
        self._members[path] = self._members[first]
        return path, self.entries[first]

    def _read_ahead(self, path: str) -> None:
        """Keep the content of the file, and of others in its directory, which are often read next.

        Every run of bsdtar reads the archive from its beginning.
        """
        above = path.rpartition("/")[0]
        siblings = (self._members.get(f"{above}/{name}") for name in self.names(above or "/"))
        wanted = {self._members[path]}
        left = _READ_AHEAD - self._members[path].size
        for member in sorted({one for one in siblings if one}, key=lambda one: (one.size, one.number)):
            if member.size <= left and len(wanted) < _MAX_SIBLINGS and member.size and not member.before:
                wanted.add(member)
                left -= member.size
        if sum(map(len, self._kept.values())) > _MAX_KEPT:
            self._kept.clear()
        ordered = sorted(wanted, key=lambda one: one.number)
        try:
            data = self._extract(ordered, sum(member.size for member in ordered))
        except ToolError:  # perhaps because of another file of the directory
            ordered = [self._members[path]]
            data = self._extract(ordered, ordered[0].size)
        at = 0
        for member in ordered:
            self._kept[member.number] = data[at : at + member.size]
            at += member.size

    def _extract(self, members: Iterable[_Member], size: int) -> bytes:
        """The content of these files, concatenated in the order of the archive: the first `size` bytes.

        bsdtar is ended as soon as it has written them.
        """
        patterns = b"\0".join(_pattern(member.name) for member in members)
        argv = ["bsdtar", "-xOnf", IMAGE, "--null", "-T", "/dev/stdin"]
        result = self._tools.run(argv, self._image, given=patterns, limit=size)
        if len(result.stdout) < size:
            raise ToolError(f"the archive is damaged or cut off: {_complaint(result)}")
        return result.stdout


_ISO_BLOCK = 2048
_EL_TORITO = re.compile(r"^El Torito boot img : +\d+ +(\w+) +y ", re.MULTILINE)
# A row of report_lba: "File data lba:  extent, first block, blocks, size, 'path'".
_LBA = re.compile(r"^File data lba: +\d+ , +(\d+) , +(\d+) , +\d+ , ", re.MULTILINE)


class IsoTree(ArchiveTree):
    """The files of an ISO 9660 disc. xorriso reports how the disc boots, and where on it a file is."""

    def __init__(self, extent: Extent, tools: Tools) -> None:
        """Raises ToolError if the disc is damaged or cut off, MissingToolError without bsdtar."""
        self._disc = extent
        super().__init__(extent, tools)

    def boots(self) -> list[str]:
        """The firmware ("bios", "uefi") that each entry of the disc's El Torito catalogue is for.

        Raises ToolError if xorriso cannot read the disc.
        """
        return [firmware.lower() for firmware in _EL_TORITO.findall(self._ask("-report_el_torito", "plain"))]

    def extract(self, path: str) -> Extent:
        """Where the content of the file at `path` is; a copy if it is in several pieces or xorriso cannot say."""
        found = self.resolve(path)
        if found is None:
            raise ToolError(f"{path} is no file of the disc")
        try:
            report = self._ask("-find", found, "-exec", "report_lba", "--")
        except ToolError:
            return super().extract(path)
        pieces = [(int(start), int(blocks)) for start, blocks in _LBA.findall(report)]
        follow = all(start + blocks == after for (start, blocks), (after, _) in pairwise(pieces))
        if not pieces or not follow:
            return super().extract(path)
        return self._disc.part(pieces[0][0] * _ISO_BLOCK, self.entries[found].size)

    def _ask(self, *question: str) -> str:
        argv = ["xorriso", "-no_rc", "-indev", f"stdio:{IMAGE}", *question]
        result = self._tools.run(argv, self._image)
        if b"FAILURE" in result.stderr or b"FATAL" in result.stderr:
            raise ToolError(f"xorriso cannot read it: {result.reason}")
        return result.stdout.decode(errors="surrogateescape")


_CPIO_MAGIC = (b"070701", b"070702")
_CPIO_HEADER = re.compile(rb"07070[12][0-9A-Fa-f]{104}")
_CPIO_END = b"TRAILER!!!\0"
_MAX_ARCHIVES = 16  # cpio archives in a row


def cpio(extent: Extent, tools: Tools) -> Tree:
    """The files of a cpio archive (newc), or of several in a row, which the kernel unpacks on top of each other.

    bsdtar reads only the first. Raises ToolError if one is damaged or cut off.
    """
    starts = _cpio_starts(extent)
    ends = [*starts[1:], extent.size]
    trees = [ArchiveTree(extent.part(at, end - at), tools) for at, end in zip(starts, ends, strict=True)]
    return trees[0] if len(trees) == 1 else Stacked([(tree, tree.entries) for tree in trees])


def _cpio_starts(extent: Extent) -> list[int]:
    """The offsets of the archives: the next one begins at the first byte after an end that is not zero."""
    starts, at = [0], 0
    while header := extent.read(at, 110 + len(_CPIO_END)):
        if not _CPIO_HEADER.match(header):
            if at == starts[-1] > 0 and header[:6] not in _CPIO_MAGIC:
                return starts[:-1]  # something else, such as the compressed part of an initramfs
            raise ToolError("the archive is damaged or cut off")
        size, length = int(header[54:62], 16), int(header[94:102], 16)
        is_end = length == len(_CPIO_END) and header[110:] == _CPIO_END
        at = _aligned(_aligned(at + 110 + length) + size)
        if at > extent.size + 3:
            raise ToolError("the archive is cut off")
        if is_end:
            at = _skip_zeroes(extent, at)
            if at == extent.size:
                return starts
            starts.append(at)
            if len(starts) > _MAX_ARCHIVES:
                raise TooMuchError(f"it has more than {_MAX_ARCHIVES} archives in a row")
    raise ToolError("the archive is cut off")


def _skip_zeroes(extent: Extent, at: int) -> int:
    """The offset of the next byte that is not zero, or the end."""
    for offset, data in extent.part(at, extent.size).pieces():
        return at + offset + len(data) - len(data.lstrip(b"\0"))
    return extent.size


def _aligned(offset: int) -> int:
    return offset + 3 & ~3


def absolute(name: bytes) -> str:
    """The absolute path that a name in an archive stands for; ".." leads no higher than the root."""
    return os.path.normpath("/" + os.fsdecode(name).lstrip("/"))


def _unescaped(name: bytes) -> bytes:
    """A name from a listing, in which bsdtar escapes backslashes and unprintable characters."""
    if b"\\" not in name:
        return name
    return _ESCAPE.sub(lambda found: _byte(found[1]), name)


def _byte(escape: bytes) -> bytes:
    return bytes([int(escape, 8) & 0xFF]) if len(escape) == 3 else _ESCAPES.get(escape, escape)


def _pattern(name: bytes) -> bytes:
    """A glob pattern that matches this name only."""
    return re.sub(rb"([^\w/.\x80-\xff-])", rb"\\\1", name)


def _failed(result: ToolResult) -> bool:
    """Whether bsdtar was ended by a signal, or complains of more than names that it cannot convert."""
    return result.status not in (0, 1) or (result.status == 1 and bool(_complaints(result)))


def _complaint(result: ToolResult) -> str:
    """The last problem with the archive that bsdtar reports, or its exit status."""
    lines = _complaints(result)
    return lines[-1].removeprefix("bsdtar: ").strip() if lines else f"bsdtar ended with status {result.status}"


def _complaints(result: ToolResult) -> list[str]:
    lines = result.stderr.decode(errors="replace").splitlines()
    return [line for line in lines if line.strip() and not any(words in line for words in _HARMLESS)]
