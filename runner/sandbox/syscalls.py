"""The system calls that Python 3.11 lacks, with errors as OSError."""

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), what)


def unshare(flags: int) -> None:
    """Leave namespaces for new ones, unshare(2). Raises OSError."""
    _check(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str, flags: int, data: str) -> None:
    """Mount a file system, mount(2); flags are MS_*. Raises OSError, naming the target."""
    done = _libc.mount(
        os.fsencode(source), os.fsencode(target), os.fsencode(kind), ctypes.c_ulong(flags), os.fsencode(data)
    )
    _check(done, target)


def unmount(target: str, flags: int = 0) -> None:
    """Unmount what is mounted at target, umount2(2). Raises OSError."""
    _check(_libc.umount2(os.fsencode(target), flags), target)
