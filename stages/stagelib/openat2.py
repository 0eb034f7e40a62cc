"""Open files beneath a directory, wherever their symlinks point: openat2(2), which Python lacks."""

import ctypes
import errno
import os

OPENAT2 = 437  # the number on every architecture but Alpha
NO_XDEV, NO_MAGICLINKS, NO_SYMLINKS, BENEATH, IN_ROOT = 0x01, 0x02, 0x04, 0x08, 0x10
# The kernel gives up a ".." while anything on the machine is renamed or mounted.
ATTEMPTS = 10_000

_libc = ctypes.CDLL(None, use_errno=True)


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def openat2(directory: int, path: str | bytes, flags: int, resolve: int, *, mode: int = 0) -> int:
    """Open `path` relative to the descriptor `directory`; returns a descriptor, closed on exec.

    resolve: a sum of the constants above, of which NO_MAGICLINKS is always set; mode: of a file that it creates.
    Raises OSError, naming the path: EXDEV where the path would leave what `resolve` allows.
    """
    how = _How(flags | os.O_CLOEXEC, mode, resolve | NO_MAGICLINKS)
    for _ in range(ATTEMPTS):
        found = _libc.syscall(
            ctypes.c_long(OPENAT2),
            ctypes.c_long(directory),
            ctypes.c_char_p(os.fsencode(path)),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if found >= 0:
            return int(found)
        error = ctypes.get_errno()
        if error == errno.ENOSYS:
            raise OSError(error, "this kernel has no openat2: Linux 5.6 or newer is needed", path)
        if error not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(error, os.strerror(error), path)
