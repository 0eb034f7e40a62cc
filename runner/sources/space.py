"""Limits how much of a file system downloads may fill."""

import contextlib
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

RESERVE = 64 * 1024**2  # bytes that downloads leave free, so that the machine and the build go on
SMALL = 50  # on a small file system, this part of it
INTERVAL = 0.1  # seconds between looks at the free space


def usable(directory: Path) -> int:
    """How many bytes downloads may still add to the directory's file system."""
    usage = shutil.disk_usage(directory)
    return max(0, usage.free - _reserve(usage.total))


@contextlib.contextmanager
def guarded(directory: Path, process: subprocess.Popen[Any]) -> Iterator[threading.Event]:
    """Kill the process when it, or anything else, fills the directory's file system; the event says that it was."""
    stop, full = threading.Event(), threading.Event()

    def watch() -> None:
        while not stop.wait(INTERVAL):
            usage = shutil.disk_usage(directory)
            # Half of the reserve: a single file is stopped before, by the limit of its own size.
            if usage.free < _reserve(usage.total) // 2:
                full.set()
                process.kill()
                return

    watcher = threading.Thread(target=watch, name="watcher of free space")
    watcher.start()
    try:
        yield full
    finally:
        stop.set()
        watcher.join()


def shown(size: int) -> str:
    """A number of bytes for people."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _reserve(total: int) -> int:
    return min(RESERVE, total // SMALL)
