"""File operations that the store's safety rests on: atomic writes, digests, locks."""

import errno
import fcntl
import hashlib
import os
import stat
import tempfile
from io import BufferedReader
from pathlib import Path

from runner.store.directories import remove_tree

UNFINISHED = ".new-"  # how the names of files begin that are being written, or were when a process was killed


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file so that readers find either the old one or the new one, even if this process is killed.

    A power cut may lose the file or leave it empty. Nothing is synced to prevent that, since 20 small layers would cost
    a second. Readers verify what they read from the store, so what was lost is made again.
    """
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=UNFINISHED)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            os.fchmod(fd, mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def move(source: Path, target: Path) -> None:
    """Rename a file, in place of whatever is at `target`. Raises OSError, RunnerError."""
    if target.is_dir():
        remove_tree(target)
    source.replace(target)


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading, and nothing else: no symlink, and no FIFO, which would wait. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(fd, "rb")


def read_small(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes. Raises OSError."""
    with open_regular(path) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return data


def forget(fd: int) -> None:
    """Drop what memory has of an open file, so that its content is read from the disk. Raises OSError."""
    os.fdatasync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def digest(path: Path, *, from_disk: bool = False) -> str:
    """The sha256 of a regular file in hexadecimal; "" if there is none that can be read.

    from_disk: drop what memory has of the file before, so that what the disk has is read.
    """
    try:
        with open_regular(path) as file:
            if from_disk:
                forget(file.fileno())
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def open_lock(path: Path) -> int:
    """Open a lock file, which is created if it is missing; returns its descriptor."""
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o644)
    except OSError as error:
        if error.errno not in (errno.EISDIR, errno.ELOOP, errno.ENXIO):
            raise
    else:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return fd
        os.close(fd)
    remove_tree(path)  # something else than a lock file, which nobody can have locked
    return os.open(path, flags, 0o644)


def try_lock(fd: int, *, shared: bool = False) -> bool:
    """Take the lock if it is free; returns whether it was taken."""
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
