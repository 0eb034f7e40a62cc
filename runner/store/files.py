"""File operations that the store's safety rests on: atomic writes, digests, locks, removal that stays on its mount."""

import fcntl
import hashlib
import os
import tempfile
from pathlib import Path

from runner.errors import build_error


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that readers find either the old one or the new one, even if this process is killed.

    A power cut may lose the file or leave it empty. Nothing is synced to prevent that, since 20 small layers would cost
    a second. Readers verify what they read from the store, so what was lost is made again.
    """
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            os.fchmod(fd, 0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def digest(path: Path) -> str:
    """The sha256 of the file in hexadecimal; "" if there is no file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""


def remove_tree(path: Path) -> None:
    """Remove a directory and its content, never through a symlink or into another file system.

    A mount inside it is an error (RunnerError), and nothing below that mount is touched. It is no error if nothing is
    at `path`.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        path.unlink()
        return
    try:
        _empty(fd, os.fstat(fd).st_dev, str(path))
    finally:
        os.close(fd)
    path.rmdir()


def _empty(fd: int, device: int, shown: str) -> None:
    os.fchmod(fd, 0o700)
    with os.scandir(fd) as entries:
        names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_dir in names:
        if not is_dir:
            os.unlink(name, dir_fd=fd)
            continue
        child = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
        try:
            if os.fstat(child).st_dev != device:
                raise build_error(
                    f"{shown}/{name} is a mount point; it and the directories above it were not removed",
                    hint=f"umount {shown}/{name}",
                )
            _empty(child, device, f"{shown}/{name}")
        finally:
            os.close(child)
        os.rmdir(name, dir_fd=fd)


def open_lock(path: Path) -> int:
    """Open a lock file, which is created if it is missing; returns its descriptor."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def try_lock(fd: int, *, shared: bool = False) -> bool:
    """Take the lock if it is free; returns whether it was taken."""
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
