"""Device nodes in trees where none can be made: in a user namespace, and in most containers.

There an empty file is the placeholder of each, with an extended attribute that describes the node, and with its owner,
mode and times. A stage that changes or renames the file keeps the attribute, so that the layer's archive has the device
node again.
"""

import contextlib
import os
import stat
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from runner.store.directories import temporary_directory

XATTR = "user.osbuild-compose.device"
KINDS = {"c": stat.S_IFCHR, "b": stat.S_IFBLK}


@dataclass(frozen=True)
class Device:
    """A device node: its path in the tree, "c" or "b", its numbers, permission bits, owner, and time in nanoseconds."""

    path: bytes
    kind: str
    major: int
    minor: int
    mode: int
    uid: int
    gid: int
    mtime_ns: int

    def to_json(self) -> dict[str, Any]:
        """JSON form; a path that is not UTF-8 is kept with surrogate escapes."""
        return {**self.__dict__, "path": os.fsdecode(self.path)}

    @staticmethod
    def from_json(data: dict[str, Any]) -> "Device":
        """Read back what to_json made."""
        return Device(**{**data, "path": os.fsencode(data["path"])})


@cache
def can_be_made(directory: Path) -> bool:
    """Whether this process may make device nodes there; it tries."""
    with temporary_directory("tmp-", directory) as work:
        try:
            os.mknod(work / "null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        except PermissionError:
            return False
    return True


def find(directory: Path, entries: Iterable[bytes], *, placeholders: bool) -> tuple[Device, ...]:
    """The device nodes among the entries of a directory; `placeholders`: those that have only a placeholder as well."""
    top = os.fsencode(directory)
    found = []
    for entry in entries:
        path = os.path.join(top, entry)
        info = os.lstat(path)
        kind, numbers = "", (os.major(info.st_rdev), os.minor(info.st_rdev))
        if stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
            kind = "c" if stat.S_ISCHR(info.st_mode) else "b"
        elif placeholders and stat.S_ISREG(info.st_mode) and info.st_size == 0:
            with contextlib.suppress(OSError, ValueError):
                word, *digits = os.getxattr(path, XATTR, follow_symlinks=False).decode().split()
                kind, numbers = word if word in KINDS else "", (int(digits[0]), int(digits[1]))
        if kind:
            mode, owner = stat.S_IMODE(info.st_mode), (info.st_uid, info.st_gid)
            found.append(Device(entry, kind, *numbers, mode, *owner, info.st_mtime_ns))
    return tuple(found)


def make_placeholder(directory: Path, device: Device) -> None:
    """Make the placeholder of a device node; the times of its directory stay."""
    path = os.path.join(os.fsencode(directory), device.path)
    parent = os.stat(os.path.dirname(path))
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    os.setxattr(path, XATTR, f"{device.kind} {device.major} {device.minor}".encode())
    os.chown(path, device.uid, device.gid)
    os.chmod(path, device.mode)
    os.utime(path, ns=(device.mtime_ns, device.mtime_ns))
    os.utime(os.path.dirname(path), ns=(parent.st_atime_ns, parent.st_mtime_ns))


def tar_headers(devices: Iterable[Device]) -> bytes:
    """The device nodes as the beginning of a tar archive in the pax format, pax(1)."""
    return b"".join(map(_tar_header, devices))


def _tar_header(device: Device) -> bytes:
    # Python's own pax headers mark names that are not UTF-8 in a way that GNU tar does not know.
    seconds, nanoseconds = divmod(device.mtime_ns, 10**9)
    records = _pax_record(b"path", device.path) + _pax_record(b"mtime", b"%d.%09d" % (seconds, nanoseconds))
    extended = tarfile.TarInfo("PaxHeaders/device")
    extended.type, extended.size = tarfile.XHDTYPE, len(records)
    padding = b"\0" * (-len(records) % tarfile.BLOCKSIZE)
    entry = tarfile.TarInfo("device")
    entry.type = tarfile.CHRTYPE if device.kind == "c" else tarfile.BLKTYPE
    entry.devmajor, entry.devminor = device.major, device.minor
    entry.mode, entry.uid, entry.gid, entry.mtime = device.mode, device.uid, device.gid, seconds
    return extended.tobuf(tarfile.USTAR_FORMAT) + records + padding + entry.tobuf(tarfile.GNU_FORMAT)


def _pax_record(key: bytes, value: bytes) -> bytes:
    """One record, "LENGTH KEY=VALUE\\n", the length counting its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)
