"""Takes over what programs in sandboxes have written: regular files and directories only, never through a link.

They become the caller's, without set-user-ID, set-group-ID and sticky bits, extended attributes and access lists.
Everything is opened beneath a directory that is held open, and nothing but regular files and directories is opened.
"""

import contextlib
import fcntl
import os
import stat
from pathlib import Path

MAX_DEPTH = 64  # directories below each other; more is no output that anything could use
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SELINUX = "security.selinux"  # the label that this machine gives the file; it is not the program's
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class RefusedError(Exception):
    """An entry that is not taken over; `path` is relative to the directory, `why` says what it is."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} is {why}")
        self.path = path
        self.why = why


def take_over(directory: Path) -> None:
    """Take over everything in a directory that only programs which have ended could write to.

    Raises RefusedError for the first entry, by name, that is neither a regular file nor a directory.
    """
    fd = open_directory(directory)
    try:
        _take_over_directory(fd, "", MAX_DEPTH)
    finally:
        os.close(fd)


def _take_over_directory(fd: int, path: str, depth: int) -> None:
    for name in sorted(os.listdir(fd)):
        shown = os.path.join(path, name)
        if not stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
            os.close(open_file(name, fd, shown))
            continue
        if depth == 0:
            raise RefusedError(shown, f"a directory below {MAX_DEPTH} others")
        child = open_directory(name, fd)
        try:
            _take_over_directory(child, shown, depth - 1)
        finally:
            os.close(child)


def open_directory(path: str | Path, dir_fd: int | None = None) -> int:
    """Take over and open a directory, but not what is in it: nobody else can change that any more. Raises OSError."""
    fd = os.open(path, _DIRECTORY, dir_fd=dir_fd)
    try:
        _own(fd, 0o755)
    except BaseException:
        os.close(fd)
        raise
    return fd


def open_file(name: str, fd: int, shown: str = "") -> int:
    """Take over and open a regular file in the open directory `fd`; `shown` is its path for errors.

    Nobody can write to it any more, not even through a descriptor that was opened before and passed on.
    Raises RefusedError for anything else.
    """
    shown = shown or name
    mode = os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode
    if not stat.S_ISREG(mode):  # opening a device may have an effect
        raise RefusedError(shown, _KINDS.get(stat.S_IFMT(mode), "no regular file"))
    file = os.open(name, _FILE, dir_fd=fd)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise RefusedError(shown, "no regular file")
        _own(file, 0o755 if mode & stat.S_IXUSR else 0o644)
        if _is_open_for_writing(file):
            raise RefusedError(shown, "a file that something still writes to")
    except BaseException:
        os.close(file)
        raise
    return file


def _own(fd: int, mode: int) -> None:
    for name in os.listxattr(fd):
        if name != _SELINUX:
            with contextlib.suppress(OSError):
                os.removexattr(fd, name)
    os.fchown(fd, os.geteuid(), os.getegid())
    os.fchmod(fd, mode)


def _is_open_for_writing(fd: int) -> bool:
    """Whether any process has the file open for writing: then the kernel gives no read lease, fcntl(2)."""
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system without leases
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
