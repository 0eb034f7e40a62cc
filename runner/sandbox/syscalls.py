"""The system calls that Python 3.11 lacks, with errors as OSError."""

import ctypes
import os
import signal

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MS_SHARED = 1 << 20
MNT_DETACH = 2
OPENAT2 = 437  # openat2(2), which has the same number on all architectures that Python's C libraries know
# Of linux/openat2.h.
RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
CAPABILITY_VERSION = 0x20080522  # linux/capability.h: sets of 64 bits in two halves
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), what)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def openat2(path: str | bytes, flags: int, resolve: int, *, dir_fd: int) -> int:
    """Open a path below a directory with limits on how it may be resolved, openat2(2); returns a descriptor.

    flags are os.O_*, resolve are RESOLVE_*. Raises OSError: EXDEV where a mount point is not allowed, ENOSYS on a
    kernel before 5.6.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, 0, resolve)
    name = ctypes.c_char_p(os.fsencode(path))
    size = ctypes.c_size_t(ctypes.sizeof(how))
    fd = _libc.syscall(ctypes.c_long(OPENAT2), ctypes.c_int(dir_fd), name, ctypes.byref(how), size)
    if fd < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), path)
    return int(fd)


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


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilitySets(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def keep_capabilities() -> None:
    """Let the programs that this process starts have its capabilities, whoever it runs as, capabilities(7).

    Raises OSError.
    """
    header = _CapabilityHeader(CAPABILITY_VERSION, 0)
    sets = (_CapabilitySets * 2)()
    _check(_libc.capget(ctypes.byref(header), sets), "capget")
    for half in sets:
        half.inheritable = half.permitted
    _check(_libc.capset(ctypes.byref(header), sets), "capset")
    for number, half in enumerate(sets):
        for bit in range(32):
            if half.permitted >> bit & 1:
                arguments = (
                    ctypes.c_ulong(PR_CAP_AMBIENT_RAISE),
                    ctypes.c_ulong(number * 32 + bit),
                    *[ctypes.c_ulong(0)] * 2,
                )
                _check(_libc.prctl(PR_CAP_AMBIENT, *arguments), "prctl")


def die_with_parent() -> None:
    """Have this process killed when the thread that started it ends, prctl(2). Raises OSError."""
    _check(_libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL)), "prctl")
