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
        self._asked = False

    def ask(self) -> None:
        """Kill all sandboxes, and let no new one live."""
        with self._lock:
            self._asked = True
            for process in self._running:
                process.kill()

    def check(self) -> None:
        """Raise RunnerError (interrupted) if stopping was asked for."""
        if self._asked:
            raise interrupted()

    @contextlib.contextmanager
    def watching(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """Have the process among those that are ended, as long as this lasts."""
        with self._lock:
            self._running.add(process)
            if self._asked:
                process.kill()
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(process)
