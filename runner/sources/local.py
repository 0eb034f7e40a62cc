"""Copies source files that have file: addresses."""

import errno
import hashlib
import os
import stat
import urllib.parse
from collections.abc import Callable
from pathlib import Path

from runner.sources import space

SCHEME = "file://"
BLOCK = 1024**2
FULL = (errno.ENOSPC, errno.EDQUOT)
_HERE = ("", "localhost", "127.0.0.1")  # RFC 8089, section 2, and what curl takes for it


class LocalError(Exception):
    """A file that cannot be copied; the text says why. full: there is too little space."""

    def __init__(self, reason: str, *, full: bool = False) -> None:
        super().__init__(reason)
        self.full = full


def copy(url: str, target: Path, go_on: Callable[[], bool]) -> str:
    """Copy the file that the address names to `target`; returns its sha256 in hexadecimal.

    go_on says before each block whether to continue. Raises LocalError, also for anything but a regular file, since
    devices and pipes have no end. Nothing is left at `target` then.
    """
    try:
        return _copy(_path(url), target, go_on)
    except LocalError:
        target.unlink(missing_ok=True)
        raise
    except OSError as error:
        target.unlink(missing_ok=True)
        raise LocalError(error.strerror or str(error), full=error.errno in FULL) from None


def _path(url: str) -> bytes:
    address = url.removeprefix(SCHEME).partition("#")[0].partition("?")[0]
    host, slash, path = address.partition("/")
    if host not in _HERE or not slash:
        raise LocalError(f"expected {SCHEME}/ and an absolute path on this machine")
    name = urllib.parse.unquote_to_bytes(f"/{path}")
    if b"\0" in name:
        raise LocalError("a path cannot contain %00")
    return name


def _copy(path: bytes, target: Path, go_on: Callable[[], bool]) -> str:
    # Looked at before it is opened, since opening a device may already have an effect, and afterwards, since it may
    # have been replaced meanwhile.
    _checked(os.stat(path))
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as source, target.open("xb") as out:
        size = left = _checked(os.fstat(source.fileno()))
        if size > (room := space.usable(target.parent)):
            reason = (
                f"it does not fit: it has {space.shown(size)}, and {space.shown(room)} can be used in {target.parent}"
            )
            raise LocalError(reason, full=True)
        digest = hashlib.sha256()
        while left and (block := source.read(min(BLOCK, left))):
            if not go_on():
                raise LocalError("interrupted")
            digest.update(block)
            out.write(block)
            left -= len(block)
    return digest.hexdigest()


def _checked(info: os.stat_result) -> int:
    """The size of a regular file."""
    if not stat.S_ISREG(info.st_mode):
        raise LocalError("it is not a regular file")
    return info.st_size
