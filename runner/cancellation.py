"""Cancels what runs in other threads when the user or the system asks for it."""

import contextlib
import subprocess
import threading
from collections.abc import Iterator

from runner.errors import interrupted


class Cancellation:
    """Keeps track of the running sandboxes, and kills them all at once when the run is cancelled."""

    def __init__(self) -> None:
        """Nothing runs, and nothing is cancelled."""
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._event = threading.Event()

    def request(self) -> None:
        """Kill all sandboxes, and any that are started later."""
        with self._lock:
            self._event.set()
            for process in self._running:
                process.kill()

    def wait(self, seconds: float) -> None:
        """Sleep. Raises RunnerError (interrupted) as soon as the run is cancelled."""
        self._event.wait(seconds)
        self.check()

    def check(self) -> None:
        """Raise RunnerError (interrupted) if the run was cancelled."""
        if self._event.is_set():
            raise interrupted()

    @contextlib.contextmanager
    def watching(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """Kill the process if the run is cancelled while this lasts."""
        with self._lock:
            self._running.add(process)
            if self._event.is_set():
                process.kill()
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(process)
