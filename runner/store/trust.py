"""When files may be taken for unchanged without reading them.

A power cut can leave a file with its size and times and without its data, and a program that boots an image writes to
it. The kernel sets a file's ctime whenever its data or attributes change, and nobody can set it to another time; so
while one boot of the machine lasts, a file with the inode and the ctime that it had when its digest was computed has
the content that it had then. After another boot, or if anything differs, the digest decides. What changes below the
kernel, on a disk that fails, is beyond this: `cache verify` reads every byte.
"""

import os
import stat
import time
from functools import cache
from pathlib import Path

from runner.store.content import sparse_digest
from runner.store.directories import walk
from runner.store.layer import clock_ns

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # random(4)
TICK = 0.002  # seconds
TICKS = 25
COARSE = 2 * 10**9  # nanoseconds; a file system without parts of seconds has steps of one or two seconds

# What a file was like, by its relative path: None for a directory, nothing for what is neither that nor a regular file.
Seen = dict[str, list[int] | None]


@cache
def boot_id() -> str:
    """The kernel's name for this boot; where it has none, one that no other process has."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip() or os.urandom(16).hex()
    except (OSError, ValueError):
        return os.urandom(16).hex()


def look(directory: Path) -> Seen:
    """What the entries of a directory are like now. Raises OSError."""
    found: Seen = {}
    for path, info, _ in walk(directory):
        name = os.fsdecode(path)
        if stat.S_ISDIR(info.st_mode):
            found[name] = None
        elif stat.S_ISREG(info.st_mode):
            found[name] = [info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns]
        else:
            found[name] = []
    return found


def look_when_settled(directory: Path) -> Seen | None:
    """The same, once the clock of ctimes has gone on, so that any later change shows; None if it doesn't soon."""
    for _ in range(TICKS):
        found = look(directory)
        newest = max((state[-1] for state in found.values() if state), default=0)
        if clock_ns() > newest + (0 if newest % 10**9 else COARSE):
            return found
        time.sleep(TICK)
    return None


def only_ctime_differs(before: Seen, now: Seen) -> bool:
    """Whether nothing but names, owners and modes of files was changed, as far as times and sizes say."""
    return _without_ctime(before) == _without_ctime(now)


def _without_ctime(seen: Seen) -> Seen:
    return {name: state[:-1] if state else state for name, state in seen.items()}


def digests(directory: Path, *, from_disk: bool = False) -> dict[str, str]:
    """The digests of the files in a directory, "directory" for directories. Raises OSError, also for special files."""
    return {
        os.fsdecode(path): "directory"
        if stat.S_ISDIR(info.st_mode)
        else sparse_digest(Path(os.fsdecode(place)), from_disk=from_disk)
        for path, info, place in walk(directory)
    }
