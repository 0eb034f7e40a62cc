"""Reads files that a user names, without waiting for ever and without reading more than is wanted."""

import errno
import os
import stat
from pathlib import Path


class NotAFileError(OSError):
    """A FIFO, or a device where a regular file is wanted."""


def read(path: Path, limit: int, *, pipes: bool = False) -> bytes:
    """The first `limit` bytes of the file.

    pipes: also what a shell passes on (/dev/stdin, /dev/fd/63), and devices. A named FIFO is always refused: nothing
    tells whether somebody is going to write into it. Raises OSError, ValueError for a path with a NUL.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        kind = os.fstat(fd).st_mode
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if stat.S_ISFIFO(kind) and not (pipes and os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:")):
            raise NotAFileError(errno.EINVAL, "it is a FIFO, not a file")
        if not stat.S_ISREG(kind):
            if not pipes:
                raise NotAFileError(errno.EINVAL, "it is a device, not a file")
            os.set_blocking(fd, True)
        parts: list[bytes] = []
        left = limit
        while left and (part := os.read(fd, min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(fd)


def text(path: Path, limit: int) -> str:
    """The text of a regular file, with \\n at the ends of its lines.

    Raises OSError for a file that is not regular or has more than `limit` bytes, ValueError if it is not UTF-8.
    """
    raw = read(path, limit + 1)
    if len(raw) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit // 1024} KiB")
    return raw.decode().replace("\r\n", "\n").replace("\r", "\n")
