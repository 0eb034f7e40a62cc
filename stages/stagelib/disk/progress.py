"""The progress of an assembler, by the bytes that its programs have read.

Few programs report progress themselves, so it is taken from the kernel: /proc/PID/io of proc(5) counts what a process
reads. It is read four times a second.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from stagelib import api

INTERVAL = 0.25  # seconds between two reports


class Meter:
    """Reports the progress of an assembler over all its steps."""

    def __init__(self, total: int) -> None:
        """total: bytes of all steps."""
        self._total = total
        self._before = 0  # of finished steps
        self._size = 0  # of the current step
        self._what = ""
        self._read: dict[int, int] = {}  # bytes by process
        self._reported = -1
        self._lock = threading.Lock()

    @contextmanager
    def step(self, size: int, what: str) -> Iterator[None]:
        """A step that reads `size` bytes, as far as known. what: what it makes, such as "qcow2"."""
        global _running  # noqa: PLW0603 - programs are run far from where steps are known
        self._size = size
        self._what = f"make {what}"
        self._read.clear()
        self._reported = -1
        self._report()
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(ended,), daemon=True)
        watcher.start()
        _running = self
        try:
            yield
        finally:
            _running = None
            ended.set()
            watcher.join()
        self._before += size
        self._size = 0
        self._report()

    def started(self, process: int) -> None:
        """A program has started; it counts for the current step."""
        with self._lock:
            self._read[process] = 0

    def _watch(self, ended: threading.Event) -> None:
        while not ended.wait(INTERVAL):
            with self._lock:
                for process, read in self._read.items():
                    self._read[process] = max(read, _bytes_read(process))
            self._report()

    def _report(self) -> None:
        done = min(self._total, self._before + min(self._size, sum(self._read.values())))
        if done > self._reported:
            self._reported = done
            api.progress(done, self._total, "bytes", self._what)


_running: Meter | None = None


def started(process: int) -> None:
    """A program that reads an image's source has started, with this process id."""
    if _running:
        _running.started(process)


def _bytes_read(process: int) -> int:
    """The bytes a process has read so far; 0 when it has ended, or the kernel does not count."""
    try:
        with open(f"/proc/{process}/io", encoding="ascii") as file:
            return int(file.readline().removeprefix("rchar:"))
    except (OSError, ValueError):
        return 0
