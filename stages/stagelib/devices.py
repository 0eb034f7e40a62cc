"""Device nodes in trees, each as a placeholder, since a sandbox may not make any: an empty file with an attribute.

The extended attribute describes the node, and its owner, mode, time and links are the placeholder's own. Makers of
images turn placeholders into device nodes. Any program that writes to a tree may set the attribute: it has no more
effect than the device node that it describes, and a package may have any device node in its image anyway.
"""

import os
import re
import stat
from dataclasses import dataclass

from stagelib import tree_paths

XATTR = "user.osbuild-compose.device"  # the runner's, too: runner/store/devices.py
LARGEST_MAJOR, LARGEST_MINOR = (1 << 12) - 1, (1 << 20) - 1  # the kernel's dev_t, linux/kdev_t.h

_TYPES = {"c": stat.S_IFCHR, "b": stat.S_IFBLK}
# What a stat_result has beside its ten items.
_AFTER_TEN = (
    "st_atime",
    "st_mtime",
    "st_ctime",
    "st_atime_ns",
    "st_mtime_ns",
    "st_ctime_ns",
    "st_blocks",
    "st_blksize",
)
_VALUE = re.compile(rb"([cb]) ([0-9]{1,4}) ([0-9]{1,7})")


@dataclass(frozen=True)
class Device:
    """A device: "c" for character or "b" for block, and its numbers."""

    kind: str
    major: int
    minor: int

    @property
    def type(self) -> int:
        """The type of file: stat.S_IFCHR or stat.S_IFBLK."""
        return _TYPES[self.kind]

    @property
    def encoded(self) -> int:
        """The numbers in 32 bits, as file systems store them: new_encode_dev() of linux/kdev_t.h."""
        return self.minor & 0xFF | self.major << 8 | (self.minor & ~0xFF) << 12

    @property
    def attribute(self) -> bytes:
        """The value of the placeholder's attribute."""
        return f"{self.kind} {self.major} {self.minor}".encode()


def parse(value: bytes) -> Device | None:
    """The device that a value of the attribute describes; None if it describes none."""
    found = _VALUE.fullmatch(value)
    if found is None:
        return None
    device = Device(found[1].decode(), int(found[2]), int(found[3]))
    return device if device.major <= LARGEST_MAJOR and device.minor <= LARGEST_MINOR else None


def of_file(path: str | bytes, info: os.stat_result) -> Device | None:
    """The device of a device node or of a placeholder, whose lstat is `info`; None for all other files."""
    if stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
        kind = "c" if stat.S_ISCHR(info.st_mode) else "b"
        return Device(kind, os.major(info.st_rdev), os.minor(info.st_rdev))
    if not stat.S_ISREG(info.st_mode) or info.st_size:
        return None
    try:
        return parse(os.getxattr(path, XATTR, follow_symlinks=False))
    except OSError:  # it has no such attribute, or is on a file system without attributes
        return None


def lstat(path: str | bytes) -> os.stat_result:
    """As os.lstat(), but a placeholder looks like its device node: its type, and st_rdev."""
    return seen(path, os.lstat(path))


def seen(path: str | bytes, info: os.stat_result) -> os.stat_result:
    """The same for a file whose lstat is known."""
    if not stat.S_ISREG(info.st_mode) or info.st_size:
        return info
    device = of_file(path, info)
    if device is None:
        return info
    rest = {name: getattr(info, name) for name in _AFTER_TEN}
    rest["st_rdev"] = os.makedev(device.major, device.minor)
    return os.stat_result((device.type | stat.S_IMODE(info.st_mode), *info[1:]), rest)


def placeholders(directory: str) -> dict[str, Device]:
    """The placeholders below a directory by path, from "/" on; names that are not UTF-8 as os.fsdecode returns them."""
    found: dict[str, Device] = {}
    todo = [""]
    while todo:
        above = todo.pop()
        with os.scandir(directory + above) as entries:
            for entry in entries:
                path = f"{above}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    todo.append(path)
                elif entry.is_file(follow_symlinks=False):
                    device = of_file(entry.path, entry.stat(follow_symlinks=False))
                    found.update({path: device} if device else {})
    return dict(sorted(found.items()))


def make_placeholder(name: str, device: Device, *, directory: int) -> int:
    """Make the placeholder of a device node, which belongs to this process and has mode 0600.

    directory: a descriptor. Returns one of the placeholder, for its owner, mode and time. Raises OSError.
    """
    fd = os.open(name, tree_paths.CREATE | os.O_CLOEXEC, 0o600, dir_fd=directory)
    try:
        os.setxattr(fd, XATTR, device.attribute)
    except OSError:
        os.close(fd)
        raise
    return fd


def mark_empty_file(tree: str, path: str, device: Device) -> None:
    """Make the placeholder of a device node of the tree's empty file `path`; anything else that is there stays."""
    info = tree_paths.lookup(tree, path, follow_last=False)
    if info is not None and stat.S_ISREG(info.st_mode) and not info.st_size:
        with tree_paths.opened(tree, path, tree_paths.READ | os.O_NOFOLLOW) as fd:
            os.setxattr(fd, XATTR, device.attribute)
