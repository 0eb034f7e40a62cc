"""Stopping what runs in other threads when a person or the system asks for it."""

import contextlib
import subprocess
import threading
from collections.abc import Iterator

from runner.errors import interrupted


class Stop:
    """Knows the running sandboxes, and ends them all at once."""

    def __init__(self) -> None:
        """Nothing runs and nobody has asked to stop."""
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._event = threading.Event()

    def ask(self) -> None:
        """Kill all sandboxes, and let no new one live."""
        with self._lock:
            self._event.set()
            for process in self._running:
                process.kill()

    def wait(self, seconds: float) -> None:
        """Wait so long. Raises RunnerError (interrupted) as soon as stopping is asked for."""
        self._event.wait(seconds)
        self.check()

    def check(self) -> None:
        """Raise RunnerError (interrupted) if stopping was asked for."""
        if self._event.is_set():
            raise interrupted()

    @contextlib.contextmanager
    def watching(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """Have the process among those that are ended, as long as this lasts."""
        with self._lock:
            self._running.add(process)
            if self._event.is_set():
                process.kill()
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(process)
