"""Read .deb files: ar archives of two compressed tar archives, control and data (deb(5)).

A file with the right digest may still be damaged or hostile, because that is what the repository has. Whatever its
bytes are, reading it ends, in bounded memory, and with DebError for what dpkg would not install.
"""

import io
import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from stagelib import devices
from stagelib.apt.compression import CHUNK, DebError, Stream, decompressed, room
from stagelib.devices import Device

AR_MAGIC = b"!<arch>\n"
AR_HEADER = 60
AR_END = b"`\n"
VERSION = b"2."  # of the format, in the first member
MOST_MEMBERS = 100  # of a .deb; there are three, and signatures
CONTROL = 64 << 20  # most bytes of the control archive, uncompressed
CONTROL_FILES = 10_000
LONG_NAME = 1 << 16  # most bytes of a path: the kernel's limit is 4096
LAST_ID = (1 << 32) - 2
LAST_TIME = 1 << 40  # seconds: what every file system and program can take
# Control files go into dpkg's database under their names.
CONTROL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*")


@dataclass(frozen=True)
class ControlFile:
    """A file of the control archive: a maintainer script, md5sums, conffiles, triggers, ..."""

    data: bytes
    mode: int
    mtime: int


def members(fd: int) -> dict[str, tuple[int, int]]:
    """The ar members of the .deb open at `fd`: name to (offset, size) in bytes. Raises DebError."""
    end = os.fstat(fd).st_size
    if os.pread(fd, len(AR_MAGIC), 0) != AR_MAGIC:
        raise DebError("it is not a .deb file")
    found: dict[str, tuple[int, int]] = {}
    at = len(AR_MAGIC)
    while at + AR_HEADER <= end:
        header = os.pread(fd, AR_HEADER, at)
        name, digits = header[:16].decode("ascii", "replace").rstrip(" /"), header[48:58].strip(b" ")
        if header[58:] != AR_END or not digits.isdigit():
            raise DebError(f"it is damaged: the header of its part at byte {at} is none")
        at, size = at + AR_HEADER, int(digits)
        if at + size > end:
            raise DebError(f"it ends too early: its part {name!r} has {size} bytes")
        if name in found or len(found) == MOST_MEMBERS:
            raise DebError(f"it is damaged: it has several parts called {name!r}, or too many")
        found[name] = (at, size)
        at += size + size % 2
    first = next(iter(found.items()), None)
    if first is None or first[0] != "debian-binary" or os.pread(fd, len(VERSION), first[1][0]) != VERSION:
        raise DebError("it is not a .deb file of version 2")
    return found


def _member(fd: int, kind: str) -> tuple[str, int, int]:
    for name, (offset, size) in members(fd).items():
        if name.startswith(f"{kind}.tar"):
            return name.removeprefix(f"{kind}.tar"), offset, size
    raise DebError(f"it has no {kind} archive")


def control(fd: int) -> dict[str, ControlFile]:
    """The files of the control archive by name. Raises DebError."""
    suffix, offset, size = _member(fd, "control")
    stream = Stream(decompressed(fd, offset, size, suffix), CONTROL)
    data = b"".join(iter(lambda: stream.chunk(CHUNK), b""))
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            files = dict(_control_files(tar, len(data)))
    except (tarfile.TarError, ValueError, OverflowError, EOFError, KeyError) as error:
        raise DebError(f"its control archive is damaged: {error}") from None
    if "control" not in files:
        raise DebError("its control archive has no file `control`")
    return files


def _control_files(tar: tarfile.TarFile, size: int) -> Iterator[tuple[str, ControlFile]]:
    for number, member in enumerate(tar):
        name = member.name.removeprefix("./")
        if member.isdir() and name in (".", ""):
            continue
        # Reading a link would read what it leads to, and a sparse file may claim any size.
        if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.sparse is not None:
            raise DebError(f"its control archive has {name!r}, which is not a regular file")
        if not CONTROL_NAME.fullmatch(name) or number >= CONTROL_FILES:
            raise DebError(f"its control archive has a file {name!r}")
        file = tar.extractfile(member)
        if not file or not 0 <= member.size <= size or not 0 <= member.mtime <= LAST_TIME:
            raise DebError(f"its control archive is damaged at {name!r}")
        content = file.read(member.size)
        if len(content) != member.size:
            raise DebError("its control archive ends too early")
        yield name, ControlFile(content, member.mode & 0o7777, int(member.mtime))


def data_stream(fd: int, declared: int = 0) -> Stream:
    """The data archive as an uncompressed tar stream. declared: Installed-Size in bytes. Raises DebError."""
    suffix, offset, size = _member(fd, "data")
    return Stream(decompressed(fd, offset, size, suffix), room(size, declared))


def write_stored(fd: int, out: int, declared: int = 0) -> dict[str, Device]:
    """Write the .deb at `fd` to the file `out` with an uncompressed data archive, which is faster to unpack.

    dpkg may not make device nodes, so they are empty files in it; returns the devices by path. declared: Installed-Size
    in bytes. Raises DebError.
    """
    suffix, offset, size = _member(fd, "control")
    with open(out, "wb", closefd=False) as file:
        file.write(AR_MAGIC)
        _ar_member(file, "debian-binary", b"2.0\n")
        _ar_member(file, f"control.tar{suffix}", os.pread(fd, size, offset))
        start = file.tell()
        file.write(_ar_header("data.tar", 0))
        nodes = _without_devices(data_stream(fd, declared), file)
        size = file.tell() - start - AR_HEADER
        file.write(b"\n" * (size % 2))
        file.seek(start)
        file.write(_ar_header("data.tar", size))
    return nodes


def _without_devices(stream: Stream, file: io.BufferedWriter) -> dict[str, Device]:
    """Copy a data archive, empty files in place of device nodes; returns the devices by path."""
    nodes = {}
    name = b""
    while (header := stream.read(512)) != bytes(512):
        kind, left = header[156:157], number(header[124:136])
        left += -left % 512
        if kind in (b"3", b"4"):
            nodes[clean(_text(name) or _path(header))] = _device(header)
            header = _empty_file(header)
        file.write(header)
        if kind == b"L" and left <= LONG_NAME:
            name = stream.read(left)
            file.write(name)
            continue
        name = name if kind == b"K" else b""
        while left:
            part = stream.chunk(left)
            if not part:
                raise DebError("it ends too early")
            file.write(part)
            left -= len(part)
    file.write(header)
    while part := stream.chunk(CHUNK):
        file.write(part)
    return nodes


def _empty_file(header: bytes) -> bytes:
    """The header of an empty file, from that of a device node."""
    made = bytearray(header)
    made[156:157], made[329:345] = b"0", b"0000000\0" * 2
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


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
        if number(header[148:156]) != sum(header) - sum(header[148:156]) + 8 * 32:
            raise DebError("it is damaged: a header's checksum is wrong")
        size, kind = number(header[124:136]), header[156:157]
        if kind in (b"L", b"K"):
            if size > LONG_NAME:
                raise DebError(f"it holds a name of {size} bytes")
            text = stream.read(size + -size % 512)[:size].split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
            name, link = (text, link) if kind == b"L" else (name, text)
            continue
        if kind not in b"\x00012345":
            raise DebError(f"it holds an entry of type {kind.decode('ascii', 'replace')}")
        kind = kind.replace(b"\0", b"0")
        entry = Entry(
            path=clean(name or _path(header)),
            type=kind.decode(),
            mode=number(header[100:108]) & 0o7777,
            uid=number(header[108:116]),
            gid=number(header[116:124]),
            mtime=number(header[136:148]),
            size=size if kind == b"0" else 0,
            target=link or _text(header[157:257]),
            device=_device(header) if kind in b"34" else None,
        )
        _check(entry)
        name = link = ""
        yield entry
        if entry.size % 512:
            stream.read(-entry.size % 512)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a package: path without leading or trailing "/" ("" is the root), type as in tar's header
    ("0" file, "1" hard link, "2" symlink, "3" and "4" device nodes, "5" directory), mode bits, numeric owners, mtime in
    seconds, size of a regular file in bytes.
    """

    path: str
    type: str
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int
    target: str
    device: Device | None = None


def _device(header: bytes) -> Device:
    """The device of an entry. Raises DebError for numbers that no device has."""
    device = Device("c" if header[156:157] == b"3" else "b", number(header[329:337]), number(header[337:345]))
    if device.major > devices.LARGEST_MAJOR or device.minor > devices.LARGEST_MINOR:
        raise DebError(f"it holds a device node with the numbers {device.major}, {device.minor}")
    return device


def _check(entry: Entry) -> None:
    """Raise DebError for what no file system could hold."""
    if not entry.path and entry.type != "5":
        raise DebError("it holds a file without a name")
    if max(entry.uid, entry.gid) > LAST_ID or entry.mtime > LAST_TIME:
        raise DebError(f"it is damaged: /{entry.path} has an impossible owner or time")


def clean(path: str) -> str:
    """The path of an archive entry, relative to the tree's root. Raises DebError when it contains ".."."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise DebError(f"it holds the path {path}")
    return "/".join(parts)


def number(field: bytes) -> int:
    """A tar header's number: octal text, or binary when the top bit is set. Raises DebError, also below 0."""
    if field[0] & 0x80:
        if field[0] != 0x80:
            raise DebError("it is damaged: a header has a negative number, or one too large")
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0", 1)[0].strip(b" ")
    if not all(byte in b"01234567" for byte in digits):
        raise DebError("it is damaged: a header has something else in place of a number")
    return int(digits or b"0", 8)


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _path(header: bytes) -> str:
    name = _text(header[:100])
    if header[257:263] == b"ustar\0" and header[345]:
        return f"{_text(header[345:500])}/{name}"
    return name
