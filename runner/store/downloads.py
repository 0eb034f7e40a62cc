"""Downloads that all builds share, and what stages with network add to them.

    sha256/<hex>            a file, by its digest
    indexes/<hex>.json      what a stage wants to know of its files in the next build
    partial/                what the runner itself is fetching

A stage sees the first two read-only, and cannot list them. It leaves new files in a directory of its own, laid out in
the same way, from which they are taken over when it has ended.
"""

import contextlib
import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runner.store import files
from runner.store.takeover import RefusedError, open_directory, open_file

BLOBS = "sha256"
INDEXES = "indexes"
PARTIAL = "partial"
USED = "used"
SHARED = 0o711  # the directories' mode: sandboxes, which are not their owner, find a file if they know its name
MAX_INDEX = 64 << 20  # bytes
Check = Callable[[str, int], bool]  # of a file by its name and its descriptor
_DIGEST = re.compile(r"[0-9a-f]{64}")
_INDEX = re.compile(r"[0-9a-f]{64}\.json")


def prepare(downloads: Path) -> None:
    """Make the directories of a store's downloads. Raises OSError."""
    for directory in (downloads, downloads / BLOBS, downloads / INDEXES):
        directory.mkdir(exist_ok=True)
        if stat.S_IMODE(directory.stat().st_mode) != SHARED:
            directory.chmod(SHARED)


def shared(downloads: Path) -> dict[str, Path]:
    """What stages see of the downloads, by name."""
    return {name: downloads / name for name in (BLOBS, INDEXES)}


def foreign(downloads: Path) -> list[Path]:
    """What does not belong into the downloads, such as what older versions kept there."""
    return [path for path in downloads.iterdir() if path.name not in (BLOBS, INDEXES, PARTIAL)]


def others(downloads: Path) -> list[Path]:
    """What is in the downloads besides files by digest: indexes, partial downloads, and what older versions left."""
    found = foreign(downloads)
    for name in (INDEXES, PARTIAL):
        if not (downloads / name).is_symlink() and (downloads / name).is_dir():
            found += (downloads / name).iterdir()
    return found


def take_over_downloads(made: Path, downloads: Path, seconds: float | None = None) -> None:
    """Move what a stage has left in the directory `made` to the downloads, on the same file system.

    Only regular files are moved: those that have the digest of their names, and indexes. The stage's file `used` has
    the digests of older ones that it needed, for which this counts as being used. seconds: how long all this may take;
    what is left then is not kept.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    top = open_directory(made)
    try:
        for kind, pattern, is_sound in ((BLOBS, _DIGEST, _has_digest), (INDEXES, _INDEX, _is_small)):
            with contextlib.suppress(OSError):
                source = open_directory(kind, top)
                names = [name for name in os.listdir(source) if pattern.fullmatch(name)]
                try:
                    _move(source, names, downloads / kind, is_sound, deadline)
                finally:
                    os.close(source)
        _touch(top, downloads / BLOBS)
    finally:
        os.close(top)


def _touch(top: int, blobs: Path) -> None:
    """Set the time of last use: the read-only mount that stages see does not."""
    with contextlib.suppress(OSError, RefusedError), os.fdopen(open_file(USED, top), "rb") as file:
        now = time.time_ns()
        for digest in file.read(MAX_INDEX).decode(errors="replace").split():
            if _DIGEST.fullmatch(digest):
                with contextlib.suppress(OSError):
                    mtime = (blobs / digest).lstat().st_mtime_ns
                    os.utime(blobs / digest, ns=(now, mtime), follow_symlinks=False)


def _move(source: int, names: Sequence[str], target: Path, is_sound: Check, deadline: float | None) -> None:
    def move(name: str) -> None:
        if deadline is not None and time.monotonic() > deadline:
            return
        with contextlib.suppress(RefusedError, OSError):
            fd = open_file(name, source)
            try:
                os.fchmod(fd, 0o644)
                if is_sound(name, fd):
                    os.replace(name, target / name, src_dir_fd=source)
            finally:
                os.close(fd)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(move, names))


def _has_digest(name: str, fd: int) -> bool:
    with os.fdopen(os.dup(fd), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == name


def _is_small(_name: str, fd: int) -> bool:
    return os.fstat(fd).st_size <= MAX_INDEX


def is_intact(path: Path, *, from_disk: bool = False) -> bool:
    """Whether a file of the downloads is a regular one of this user's, has no special bits, and has its digest."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        info = os.fstat(fd)
        plain = stat.S_ISREG(info.st_mode) and not stat.S_IMODE(info.st_mode) & ~0o777
        if not plain or info.st_uid != os.geteuid():
            return False
        if from_disk:
            files.forget(fd)
        return _has_digest(path.name, fd)
    finally:
        os.close(fd)
