"""Stand-ins of device nodes for mkfs programs that read a directory, where nobody may make device nodes.

They are special files of which the image has an inode as large as a device node's, so that type and numbers can be set
in the finished image: fifos, or character devices 0:0. These are overlayfs' whiteouts, which everybody may make.
"""

import ctypes
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress

from stagelib.devices import Device
from stagelib.disk import labels
from stagelib.disk.tree_parts import mounted
from stagelib.errors import StageError

MS_BIND, MNT_DETACH = 4096, 2  # mount(2), umount(2)

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def shown(
    directory: str, nodes: Mapping[str, Device], wanted: Mapping[str, str], work: str, *, kind: int
) -> Iterator[None]:
    """Mount a file of the type `kind`, stat.S_IFIFO or S_IFCHR, over each placeholder in `directory`.

    It has the placeholder's owner, mode, times, hard links and ACL, and its label of `wanted`, labels by path. nodes:
    what devices.placeholders() returned for the directory. work: a directory to mount in.
    """
    if not nodes:
        yield
        return
    top = os.path.join(work, "devices")
    os.makedirs(top, exist_ok=True)
    known: dict[tuple[int, int], str] = {}
    with ExitStack() as stack:
        # In a user namespace, only a file system of its own takes labels.
        stack.enter_context(mounted(["-t", "tmpfs", "-o", "mode=0700,nosuid,nodev", "devices"], top))
        made: dict[str, str] = {}
        for number, path in enumerate(nodes):
            source = directory + path
            made[source] = target = os.path.join(top, str(number))
            info = os.lstat(source)
            first = known.setdefault((info.st_dev, info.st_ino), target) if info.st_nlink > 1 else target
            if first == target:
                _make(source, info, target, wanted.get(path), kind)
            else:
                os.link(first, target)
        for source, target in made.items():
            _bind(target, source)
            stack.callback(_unmount, source)
        yield


def _bind(source: str, target: str) -> None:
    """As mount --bind, which for a thousand files would take a minute."""
    if _libc.mount(os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(MS_BIND), None) != 0:
        why = os.strerror(ctypes.get_errno())
        raise StageError(f"device nodes cannot be shown to the program that makes the file system: {why}")


def _unmount(target: str) -> None:
    if _libc.umount2(os.fsencode(target), MNT_DETACH) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)


def by_directory(nodes: Mapping[str, Device]) -> dict[bytes, dict[bytes, Device | None]]:
    """The directories that lead to device nodes, by path, with the names of further ones (None) and of the nodes."""
    below: dict[bytes, dict[bytes, Device | None]] = {}
    for path, device in nodes.items():
        above, name = os.path.split(os.fsencode(path))
        below.setdefault(above, {})[name] = device
        while above != b"/":
            above, name = os.path.split(above)
            below.setdefault(above, {})[name] = None
    return below


def _make(source: str, info: os.stat_result, target: str, label: str | None, kind: int) -> None:
    os.mknod(target, kind | 0o600, os.makedev(0, 0))
    os.chown(target, info.st_uid, info.st_gid)
    os.chmod(target, stat.S_IMODE(info.st_mode))
    kept = {name for name in os.listxattr(source, follow_symlinks=False) if not name.startswith("user.")}
    for name in sorted(kept - {labels.XATTR}):
        with suppress(OSError):  # such as those of the machine's own security modules
            os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=False), follow_symlinks=False)
    if label is not None:
        os.setxattr(target, labels.XATTR, labels.value(label), follow_symlinks=False)
    os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))
