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
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runner.errors import environment_error
from runner.store.directories import Places, keeping_times

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
    found: list[Device] = []
    first: dict[tuple[int, int], bytes] = {}
    with Places(directory) as place:
        for entry in entries:
            path = place(entry)
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


def make_placeholders(directory: Path, nodes: Iterable[Device]) -> None:
    """Make the placeholders of device nodes; the times of their directories stay.

    Raises RunnerError (environment) where files cannot have the attribute.
    """
    with Places(directory) as place, Places(directory) as other:
        for device in nodes:
            path = place(device.path)
            with keeping_times(os.path.dirname(path)):
                if device.link:
                    os.link(other(device.link), path, follow_symlinks=False)
                else:
                    _make_placeholder(directory, path, device)


def _make_placeholder(directory: Path, path: bytes, device: Device) -> None:
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
