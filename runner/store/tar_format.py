"""The tar format, pax(1), in Python: for the rare trees that tar(1) cannot archive or extract, and for device nodes.

tar(1), which is much faster, opens every file by its whole path, so that paths longer than PATH_MAX are beyond it; and
it cannot tell files whose names look like whiteouts from whiteouts. What is written here, others can read.
"""

import contextlib
import os
import stat
import tarfile
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from runner.store.content import data_ranges
from runner.store.devices import Device
from runner.store.directories import Places

CHUNK = 1 << 20
XATTR = "SCHILY.xattr."
TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
}
GNU_SPARSE = {b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0"}
END = tarfile.NUL * (2 * tarfile.BLOCKSIZE)


def device_headers(devices: Sequence[Device]) -> bytes:
    """Device nodes as the beginning of an archive."""
    return b"".join(map(_device_header, devices))


def write(
    out: BinaryIO,
    directory: Path,
    *,
    names: Sequence[bytes],
    marks: Sequence[bytes],
    nodes: Mapping[bytes, Device],
    excluded: tuple[str, ...],
) -> None:
    """Write the named entries of a directory as an archive; b"." is the directory itself.

    marks are the names of whiteouts, which become empty files. nodes are the device nodes of which the directory has
    placeholders. Extended attributes whose names begin with one of `excluded` are left out. Raises OSError.
    """
    first: dict[tuple[int, int], bytes] = {}
    with Places(directory) as place:
        for name in names:
            if name in nodes:
                out.write(_device_header(nodes[name]))
            else:
                _write_entry(out, name, place(b"" if name == b"." else name), first, excluded)
    for mark in marks:
        out.write(_header({b"path": mark}, tarfile.REGTYPE, 0o644))
    out.write(END)


def _write_entry(
    out: BinaryIO, name: bytes, place: bytes, first: dict[tuple[int, int], bytes], excluded: tuple[str, ...]
) -> None:
    info = os.lstat(place)
    kind = TYPES.get(stat.S_IFMT(info.st_mode))
    if kind is None:
        return  # a socket
    records = {b"path": name, b"mtime": pax_time(info.st_mtime_ns)}
    if not stat.S_ISDIR(info.st_mode) and info.st_nlink > 1:
        target = first.setdefault((info.st_dev, info.st_ino), name)
        if target != name:
            out.write(_header({**records, b"linkpath": target}, tarfile.LNKTYPE, info=info))
            return
    for key in sorted(os.listxattr(place, follow_symlinks=False)):
        if not key.startswith(excluded):
            records[os.fsencode(XATTR + key)] = os.getxattr(place, key, follow_symlinks=False)
    if stat.S_ISREG(info.st_mode):
        _write_file(out, place, records, info)
        return
    if stat.S_ISLNK(info.st_mode):
        records[b"linkpath"] = os.readlink(place)
    out.write(_header(records, kind, info=info))


def _write_file(out: BinaryIO, place: bytes, records: dict[bytes, bytes], info: os.stat_result) -> None:
    fd = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        ranges = list(data_ranges(fd, info.st_size))
        size = sum(length for _, length in ranges)
        content_map = b""
        if size < info.st_size:  # sparse: the content begins with a map of it (GNU tar's manual)
            records |= {**GNU_SPARSE, b"GNU.sparse.name": records.pop(b"path")}
            records[b"GNU.sparse.realsize"] = b"%d" % info.st_size
            ends = [*ranges, (info.st_size, 0)]
            content_map = b"%d\n" % len(ends) + b"".join(b"%d\n%d\n" % one for one in ends)
            content_map += tarfile.NUL * (-len(content_map) % tarfile.BLOCKSIZE)
        out.write(_header(records, tarfile.REGTYPE, info=info, size=len(content_map) + size))
        out.write(content_map)
        for start, length in ranges:
            _copy(fd, start, length, out)
        out.write(tarfile.NUL * (-size % tarfile.BLOCKSIZE))
    finally:
        os.close(fd)


def _copy(fd: int, start: int, length: int, out: BinaryIO) -> None:
    while length:
        data = os.pread(fd, min(CHUNK, length), start)
        if not data:
            raise OSError("a file became shorter while it was read")
        out.write(data)
        start, length = start + len(data), length - len(data)


def read(source: BinaryIO, directory: Path, skipped: Container[bytes]) -> None:
    """Extract an archive into an empty directory, without the `skipped` names. Raises OSError, tarfile.TarError."""
    directories: list[tuple[bytes, tarfile.TarInfo]] = []
    with (
        tarfile.open(fileobj=source, mode="r|", encoding="utf-8", errors="surrogateescape") as archive,
        Places(directory) as place,
    ):
        while (member := archive.next()) is not None:
            cast(Any, archive).members.clear()  # it keeps all of them
            name = b"" if member.name == "." else _bytes(member.name)
            if name in skipped:
                continue
            if member.isdir():
                directories.append((name, member))
                if name:
                    os.mkdir(place(name), 0o700)
                continue
            _make(archive, member, directory, place(name))
            if not member.islnk():
                _set_attributes(place(name), member)
        for name, member in reversed(directories):
            _set_attributes(place(name), member)


def _make(archive: tarfile.TarFile, member: tarfile.TarInfo, directory: Path, path: bytes) -> None:
    if member.islnk():
        with Places(directory) as other:
            os.link(other(_bytes(member.linkname)), path, follow_symlinks=False)
    elif member.issym():
        os.symlink(_bytes(member.linkname), path)
    elif member.isfifo():
        os.mkfifo(path, 0o600)
    elif member.isdev():
        kind = stat.S_IFCHR if member.ischr() else stat.S_IFBLK
        os.mknod(path, kind | 0o600, os.makedev(member.devmajor, member.devminor))
    else:
        with open(path, "xb") as file:  # noqa: PTH123 - a bytes path
            _fill(cast(BinaryIO, archive.fileobj), member, file)


def _fill(source: BinaryIO, member: tarfile.TarInfo, file: BinaryIO) -> None:
    source.seek(member.offset_data)
    sparse: list[tuple[int, int]] | None = cast(Any, member).sparse
    ranges = [(0, member.size)] if sparse is None else sparse
    for start, length in ranges:
        file.seek(start)
        left = length
        while left:
            data = source.read(min(CHUNK, left))
            if not data:
                raise tarfile.ReadError("unexpected end of the archive")
            file.write(data)
            left -= len(data)
    file.truncate(member.size)


def _set_attributes(path: bytes, member: tarfile.TarInfo) -> None:
    os.chown(path, member.uid, member.gid, follow_symlinks=False)
    if not member.issym():
        os.chmod(path, member.mode)
    for key, value in member.pax_headers.items():
        if key.startswith(XATTR):
            os.setxattr(path, key.removeprefix(XATTR), _bytes(value), follow_symlinks=False)
    mtime = _nanoseconds(member.pax_headers.get("mtime", str(member.mtime)))
    os.utime(path, ns=(mtime, mtime), follow_symlinks=False)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def pax_time(time_ns: int) -> bytes:
    """A time in nanoseconds since 1970 as decimal seconds."""
    seconds, nanoseconds = divmod(abs(time_ns), 10**9)
    return b"%s%d.%09d" % (b"-" if time_ns < 0 else b"", seconds, nanoseconds)


def _nanoseconds(text: str) -> int:
    seconds, _, fraction = text.removeprefix("-").partition(".")
    time_ns = int(seconds) * 10**9 + int(fraction[:9].ljust(9, "0"))
    return -time_ns if text.startswith("-") else time_ns


def _device_header(device: Device) -> bytes:
    records = {b"path": device.path, b"mtime": pax_time(device.mtime_ns)}
    if device.link:
        return _header({**records, b"linkpath": device.link}, tarfile.LNKTYPE, device=device)
    return _header(records, tarfile.CHRTYPE if device.kind == "c" else tarfile.BLKTYPE, device=device)


def _header(
    records: Mapping[bytes, bytes],
    kind: bytes,
    mode: int = 0,
    *,
    info: os.stat_result | None = None,
    device: Device | None = None,
    size: int = 0,
) -> bytes:
    """The header of an entry, after one with its extended records: names may be of any bytes and any length.

    Python's own pax headers mark names that are not UTF-8 in a way that GNU tar does not know.
    """
    data = b"".join(_pax_record(key, value) for key, value in records.items())
    extended = tarfile.TarInfo("PaxHeaders/entry")
    extended.type, extended.size = tarfile.XHDTYPE, len(data)
    entry = tarfile.TarInfo("entry")
    entry.type, entry.mode, entry.size = kind, mode, size
    entry.linkname = "entry" if kind == tarfile.LNKTYPE else ""
    if info:
        entry.mode, entry.uid, entry.gid = stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid
        entry.devmajor, entry.devminor = os.major(info.st_rdev), os.minor(info.st_rdev)
    elif device:
        entry.mode, entry.uid, entry.gid = device.mode, device.uid, device.gid
        entry.devmajor, entry.devminor = device.major, device.minor
    with contextlib.suppress(KeyError):
        entry.mtime = int(records[b"mtime"].partition(b".")[0])
    padding = tarfile.NUL * (-len(data) % tarfile.BLOCKSIZE)
    return extended.tobuf(tarfile.GNU_FORMAT) + data + padding + entry.tobuf(tarfile.GNU_FORMAT)


def _pax_record(key: bytes, value: bytes) -> bytes:
    """One record, "LENGTH KEY=VALUE\\n", the length counting its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)
