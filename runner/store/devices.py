"""Device nodes in trees: nobody may make them in a user namespace, so trees have placeholders, and archives the nodes.

A placeholder is an empty file with an extended attribute that describes the node, and with its owner, mode and times. A
stage that changes or renames the file keeps the attribute, so that the layer's archive has the device node again.

The attribute is nothing that has to be protected: a hostile package that sets it gets a device node in its own image,
where it is root anyway, and this machine never has more than the empty file.
"""

import errno
import os
import re
import stat
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runner.errors import environment_error

XATTR = "user.osbuild-compose.device"  # stagelib's, too: stages/stagelib/devices.py
LARGEST_MAJOR, LARGEST_MINOR = (1 << 12) - 1, (1 << 20) - 1  # the kernel's dev_t, linux/kdev_t.h
_VALUE = re.compile(rb"([cb]) ([0-9]{1,4}) ([0-9]{1,7})")


@dataclass(frozen=True)
class Device:
    """A device node: its path in the tree, "c" or "b", its numbers, permission bits, owner, and time in nanoseconds.

    link: another path that it is a hard link to; empty if it is none, or the first of several.
    """

    path: bytes
    kind: str
    major: int
    minor: int
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    link: bytes = b""

    def to_json(self) -> dict[str, Any]:
        """JSON form; a path that is not UTF-8 is kept with surrogate escapes."""
        return {**self.__dict__, "path": os.fsdecode(self.path), "link": os.fsdecode(self.link)}

    @staticmethod
    def from_json(data: dict[str, Any]) -> "Device":
        """Read back what to_json made."""
        paths = {name: os.fsencode(data.get(name, "")) for name in ("path", "link")}
        return Device(**{**data, **paths})


def find(directory: Path, entries: Iterable[bytes]) -> tuple[Device, ...]:
    """The device nodes and placeholders among the entries of a directory."""
    top = os.fsencode(directory)
    found: list[Device] = []
    first: dict[tuple[int, int], bytes] = {}
    for entry in entries:
        path = os.path.join(top, entry)
        info = os.lstat(path)
        described = _described(path, info)
        if described is None:
            continue
        mode, owner = stat.S_IMODE(info.st_mode), (info.st_uid, info.st_gid)
        device = Device(entry, *described, mode, *owner, info.st_mtime_ns)
        if info.st_nlink > 1 and (other := first.setdefault((info.st_dev, info.st_ino), entry)) != entry:
            device = replace(device, link=other)
        found.append(device)
    return tuple(found)


def _described(path: bytes, info: os.stat_result) -> tuple[str, int, int] | None:
    """The kind and numbers of a device node or of a placeholder's device; None for other files."""
    if stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
        return "c" if stat.S_ISCHR(info.st_mode) else "b", os.major(info.st_rdev), os.minor(info.st_rdev)
    if not stat.S_ISREG(info.st_mode) or info.st_size:
        return None
    try:
        value = _VALUE.fullmatch(os.getxattr(path, XATTR, follow_symlinks=False))
    except OSError:  # no such attribute, or a file system without any
        return None
    if value is None or int(value[2]) > LARGEST_MAJOR or int(value[3]) > LARGEST_MINOR:
        return None
    return value[1].decode(), int(value[2]), int(value[3])


def make_placeholder(directory: Path, device: Device) -> None:
    """Make the placeholder of a device node; the times of its directory stay.

    Raises RunnerError (environment) where files cannot have the attribute.
    """
    top = os.fsencode(directory)
    path = os.path.join(top, device.path)
    parent = os.stat(os.path.dirname(path))
    if device.link:
        os.link(os.path.join(top, device.link), path, follow_symlinks=False)
    else:
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        try:
            os.setxattr(fd, XATTR, f"{device.kind} {device.major} {device.minor}".encode())
            os.fchown(fd, device.uid, device.gid)
            os.fchmod(fd, device.mode)
            os.utime(fd, ns=(device.mtime_ns, device.mtime_ns))
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            raise environment_error(
                f"{directory.parent} is on a file system without extended attributes of users, and a file with one "
                f"stands for the tree's device node {os.fsdecode(device.path)}",
                hint="--scratch takes a directory on ext4, xfs or btrfs, or on tmpfs from Linux 6.6 on",
            ) from None
        finally:
            os.close(fd)
    os.utime(os.path.dirname(path), ns=(parent.st_atime_ns, parent.st_mtime_ns))


def tar_headers(devices: Iterable[Device]) -> bytes:
    """The device nodes as the beginning of a tar archive in the pax format, pax(1)."""
    return b"".join(map(_tar_header, devices))


def _tar_header(device: Device) -> bytes:
    # Python's own pax headers mark names that are not UTF-8 in a way that GNU tar does not know.
    seconds, nanoseconds = divmod(device.mtime_ns, 10**9)
    records = _pax_record(b"path", device.path) + _pax_record(b"mtime", b"%d.%09d" % (seconds, nanoseconds))
    records += _pax_record(b"linkpath", device.link) if device.link else b""
    extended = tarfile.TarInfo("PaxHeaders/device")
    extended.type, extended.size = tarfile.XHDTYPE, len(records)
    padding = b"\0" * (-len(records) % tarfile.BLOCKSIZE)
    entry = tarfile.TarInfo("device")
    entry.type = tarfile.CHRTYPE if device.kind == "c" else tarfile.BLKTYPE
    if device.link:
        entry.type, entry.linkname = tarfile.LNKTYPE, "device"
    entry.devmajor, entry.devminor = device.major, device.minor
    entry.mode, entry.uid, entry.gid, entry.mtime = device.mode, device.uid, device.gid, seconds
    return extended.tobuf(tarfile.USTAR_FORMAT) + records + padding + entry.tobuf(tarfile.GNU_FORMAT)


def _pax_record(key: bytes, value: bytes) -> bytes:
    """One record, "LENGTH KEY=VALUE\\n", the length counting its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)
