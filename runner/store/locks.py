"""Lock files of the private store, and what is said while a process waits for one, flock(2)."""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

from runner.store import files

POLL = 0.05  # seconds between looks at a lock; waiting inside of flock(2) could not be interrupted
PATIENCE = 1.0  # seconds before anything is said about a lock that is usually held for a moment
REPEAT = 30.0  # seconds until it is said again
PROC = Path("/proc")
_views: list[tuple[int, int]] = []  # a descriptor of PROC and a process id, see look_from_here

Say = Callable[[str], None]  # takes a message for the user


def silent(_message: str) -> None:
    """Say nothing."""


def acquire(
    fd: int,
    what: str,
    say: Say,
    *,
    shared: bool = False,
    patience: float = PATIENCE,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Take the lock on an open file, waiting for those that hold it.

    say gets what is waited for, who holds it and for how long, after `patience` seconds and every REPEAT seconds. pause
    sleeps so many seconds, or raises an exception when the build is cancelled.
    """
    started = time.monotonic()
    due = patience
    while not files.try_lock(fd, shared=shared):
        waited = time.monotonic() - started
        if waited >= due:
            say(waiting(what, holders(fd), waited))
            due = waited + REPEAT
        pause(POLL)


def waiting(what: str, pids: list[int], seconds: float) -> str:
    """The message of a process that has waited for so many seconds."""
    since = f" for {seconds:.0f} s" if seconds >= 1 else ""
    return f"waiting{since} for {what} ({processes(pids)})"


def processes(pids: list[int]) -> str:
    """Processes for people: "process 12", or "processes 12, 34"."""
    if not pids:
        return "another process"
    return f"process{'es' if len(pids) > 1 else ''} {', '.join(map(str, pids))}"


def look_from_here() -> None:
    """Keep the view of this process, which is about to enter a pid namespace, where others have no ids."""
    with contextlib.suppress(OSError):
        _views.append((os.open(PROC, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC), os.getpid()))


def _read(name: str) -> str:
    """A file of /proc as it is outside of the run's pid namespace. Raises OSError."""
    fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=_views[0][0]) if _views else os.open(PROC / name, os.O_RDONLY)
    with os.fdopen(fd, encoding="utf-8", errors="replace") as file:
        return file.read()


def _known(pid: int) -> int:
    """The id of the process that was started: the parent of one that is the first in its pid namespace."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = dict(line.split(":", 1) for line in _read(f"{pid}/status").splitlines())
        if fields["NSpid"].split()[1:] == ["1"]:
            return int(fields["PPid"])
    return pid


def holders(fd: int) -> list[int]:
    """The ids of the other processes that hold a lock on the open file, sorted; as far as the kernel says, proc(5)."""
    info = os.fstat(fd)
    wanted = f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}"
    try:
        lines = _read("locks").splitlines()
    except OSError:
        return []
    fields = [line.split() for line in lines]
    # "1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF"; lines with "->" are of those that wait.
    found = {int(one[4]) for one in fields if one[1:2] == ["FLOCK"] and one[5:6] == [wanted] and one[4].isdecimal()}
    return sorted({_known(pid) for pid in found - {0}} - {os.getpid(), *(pid for _, pid in _views)})
