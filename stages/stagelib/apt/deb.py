"""Read .deb files: ar archives of two compressed tar archives, control and data (deb(5))."""

import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

CHUNK = 1 << 20  # bytes read or decompressed at a time
AR_MAGIC = b"!<arch>\n"
AR_HEADER = 60


class DebError(Exception):
    """The file is not a readable .deb; the message says why."""


@dataclass(frozen=True)
class ControlFile:
    """A file of the control archive: a maintainer script, md5sums, conffiles, triggers, ..."""

    data: bytes
    mode: int
    mtime: int


class _Decompressor(Protocol):
    @property
    def needs_input(self) -> bool: ...
    @property
    def eof(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Stored:
    needs_input = True
    eof = False

    def decompress(self, data: bytes, _max_length: int, /) -> bytes:
        return data


class _Gzip:
    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail or data, max_length)


class Stream:
    """The bytes of a compressed ar member, decompressed as they are read: memory stays bounded."""

    def __init__(self, fd: int, offset: int, size: int, suffix: str) -> None:
        """Read the member of `size` bytes at `offset`; suffix: the part of its name after ".tar". Raises DebError."""
        if suffix not in DECOMPRESSORS:
            raise DebError(f"compression {suffix} is not supported")
        self._fd, self._at, self._end = fd, offset, offset + size
        self._decompressor = DECOMPRESSORS[suffix]()
        self._buffer = b""
        self._used = 0

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes. Raises DebError when there are fewer."""
        if self._used + size <= len(self._buffer):
            start, self._used = self._used, self._used + size
            return self._buffer[start : self._used]
        parts = []
        while size > 0:
            part = self.chunk(size)
            if not part:
                raise DebError("it ends too early")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def chunk(self, limit: int) -> bytes:
        """At least one and at most `limit` bytes, as many as are buffered; b"" at the end. Raises DebError."""
        while self._used == len(self._buffer):
            if not self._fill():
                return b""
        start, self._used = self._used, min(self._used + limit, len(self._buffer))
        return self._buffer[start : self._used]

    def _fill(self) -> bool:
        if self._decompressor.eof:
            return False
        data = b""
        if self._decompressor.needs_input:
            data = os.pread(self._fd, min(CHUNK, self._end - self._at), self._at)
            self._at += len(data)
            if not data:
                return False
        try:
            self._buffer, self._used = self._decompressor.decompress(data, CHUNK), 0
        except (lzma.LZMAError, zlib.error) as error:
            raise DebError(f"it is damaged: {error}") from None
        return True


DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {
    "": _Stored,
    ".xz": lzma.LZMADecompressor,
    ".gz": _Gzip,
}


def members(fd: int) -> dict[str, tuple[int, int]]:
    """The ar members of the .deb open at `fd`: name to (offset, size) in bytes. Raises DebError."""
    end = os.fstat(fd).st_size
    if os.pread(fd, len(AR_MAGIC), 0) != AR_MAGIC:
        raise DebError("it is not a .deb file")
    found = {}
    at = len(AR_MAGIC)
    while at + AR_HEADER <= end:
        header = os.pread(fd, AR_HEADER, at)
        name, size = header[:16].decode("ascii", "replace").rstrip(" /"), int(header[48:58])
        found[name] = (at + AR_HEADER, size)
        at += AR_HEADER + size + size % 2
    return found


def _member(fd: int, kind: str) -> tuple[str, int, int]:
    for name, (offset, size) in members(fd).items():
        if name.startswith(f"{kind}.tar"):
            return name, offset, size
    raise DebError(f"it has no {kind} archive")


def control(fd: int) -> dict[str, ControlFile]:
    """The files of the control archive by name. Raises DebError."""
    name, offset, size = _member(fd, "control")
    stream = Stream(fd, offset, size, name.removeprefix("control.tar"))
    data = b"".join(iter(lambda: stream.chunk(CHUNK), b""))
    files = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            if file := tar.extractfile(member):
                files[member.name.removeprefix("./")] = ControlFile(
                    file.read(), member.mode & 0o7777, int(member.mtime)
                )
    return files


def data_stream(fd: int) -> Stream:
    """The data archive as an uncompressed tar stream. Raises DebError."""
    name, offset, size = _member(fd, "data")
    return Stream(fd, offset, size, name.removeprefix("data.tar"))


def write_stored(fd: int, out: int) -> None:
    """Write the .deb at `fd` to the file `out` with an uncompressed data archive, which is faster to unpack.

    Raises DebError.
    """
    name, offset, size = _member(fd, "control")
    with open(out, "wb", closefd=False) as file:
        file.write(AR_MAGIC)
        _ar_member(file, "debian-binary", b"2.0\n")
        _ar_member(file, name, os.pread(fd, size, offset))
        start = file.tell()
        file.write(_ar_header("data.tar", 0))
        stream = data_stream(fd)
        while part := stream.chunk(CHUNK):
            file.write(part)
        size = file.tell() - start - AR_HEADER
        file.write(b"\n" * (size % 2))
        file.seek(start)
        file.write(_ar_header("data.tar", size))


def _ar_header(name: str, size: int) -> bytes:
    return f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{size:<10}`\n".encode()


def _ar_member(file: io.BufferedWriter, name: str, data: bytes) -> None:
    file.write(_ar_header(name, len(data)) + data + b"\n" * (len(data) % 2))


def entries(stream: Stream) -> Iterator["Entry"]:
    """The entries of the data archive; after each regular file its `size` bytes must be read from the stream.

    Raises DebError on entries that dpkg does not unpack either (pax headers, unknown types).
    """
    name = link = ""
    while True:
        header = stream.read(512)
        if header == bytes(512):
            return
        if int(header[148:156].rstrip(b" \0") or b"0", 8) != sum(header) - sum(header[148:156]) + 8 * 32:
            raise DebError("it is damaged: a header's checksum is wrong")
        size, kind = number(header[124:136]), header[156:157]
        if kind in (b"L", b"K"):
            text = stream.read(size + -size % 512)[:size].rstrip(b"\0").decode("utf-8", "surrogateescape")
            name, link = (text, link) if kind == b"L" else (name, text)
            continue
        if kind not in b"\x000125":
            raise DebError(f"it holds an entry of type {kind.decode('ascii', 'replace')}")
        path = name or _path(header)
        target = link or _text(header[157:257])
        mode, uid, gid = number(header[100:108]) & 0o7777, number(header[108:116]), number(header[116:124])
        name = link = ""
        yield Entry(
            clean(path), kind.replace(b"\0", b"0").decode(), mode, uid, gid, number(header[136:148]), size, target
        )
        if size % 512 and kind in b"\x000":
            stream.read(-size % 512)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a package: path without leading or trailing "/" ("" is the root), type as in tar's header
    ("0" file, "1" hard link, "2" symlink, "5" directory), mode bits, numeric owners, mtime in seconds, size in bytes.
    """

    path: str
    type: str
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int
    target: str


def clean(path: str) -> str:
    """The path of an archive entry, relative to the tree's root. Raises DebError when it contains ".."."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise DebError(f"it holds the path {path}")
    return "/".join(parts)


def number(field: bytes) -> int:
    """A tar header's number: octal text, or binary when the top bit is set."""
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    return int(field.rstrip(b" \0") or b"0", 8)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _path(header: bytes) -> str:
    name = _text(header[:100])
    if header[257:263] == b"ustar\0" and header[345]:
        return f"{_text(header[345:500])}/{name}"
    return name
