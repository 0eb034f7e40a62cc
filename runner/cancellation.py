"""Cancels a run when the user or the system asks for it with a signal.

The signals raise no exception: one could come at any point, in the middle of a clean-up as well. They are noted, a
thread kills the programs that run, and whoever waits for one of those finds that it has ended and that the run was
cancelled. What takes too long nevertheless is ended with the process.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from runner import signals
from runner.errors import interrupted

GRACE = 1.0  # seconds for cleaning up and reporting
INTERVAL = 0.05  # seconds between looks for programs that were started meanwhile


class Cancellation:
    """Whether the run was cancelled, and what is to be ended then."""

    def __init__(self) -> None:
        """Nothing runs, and nothing is cancelled."""
        self.number: int | None = None
        """The signal that cancelled the run."""
        self._at_shell = False
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._requested = threading.Event()
        self._actions: list[Callable[[], None]] = []

    def listen(self, *, is_init: bool) -> None:
        """From now on signals cancel the run; this process ends soon afterwards, at the latest after GRACE seconds.

        is_init: this is the first process of a pid namespace of its own, in which all other processes are ended, too;
        otherwise its children are.
        """
        wake, note = os.pipe()
        os.set_blocking(note, False)
        for number in signals.caught():
            signal.signal(number, self._note)
        signal.set_wakeup_fd(note, warn_on_full_buffer=False)
        kill = _kill_namespace if is_init else _end_children
        threading.Thread(target=self._wait_for_signal, args=(wake, kill), name="cancellation", daemon=True).start()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if not (number == signal.SIGINT and self._at_shell):
            self.number = self.number or number

    def _wait_for_signal(self, wake: int, kill: Callable[[], None]) -> None:
        # The main thread may be busy: a signal is read here before it is noted there.
        number = os.read(wake, 1)[0]
        while number == signal.SIGINT and self._at_shell:
            number = os.read(wake, 1)[0]
        self.number = self.number or number
        end = time.monotonic() + GRACE
        self.request()
        while time.monotonic() < end:
            kill()
            time.sleep(INTERVAL)
        with contextlib.suppress(OSError):
            os.write(2, signals.MESSAGE)
        os._exit(signals.exit_code(self.number))

    def request(self) -> None:
        """Cancel: kill all sandboxes, and any that are started later."""
        with self._lock:
            self._requested.set()
            for process in self._running:
                process.kill()
            actions = list(self._actions)
        for action in actions:
            action()

    def then(self, action: Callable[[], None]) -> None:
        """Do this as well when the run is cancelled, in another thread. It must not wait for anything."""
        with self._lock:
            self._actions.append(action)

    @property
    def requested(self) -> bool:
        """Whether the run was cancelled."""
        return self.number is not None or self._requested.is_set()

    def wait(self, seconds: float) -> None:
        """Sleep. Raises RunnerError (interrupted) as soon as the run is cancelled."""
        self._requested.wait(seconds)
        self.check()

    def check(self) -> None:
        """Raise RunnerError (interrupted) if the run was cancelled."""
        if self.requested:
            raise interrupted()

    @contextlib.contextmanager
    def shell(self) -> Iterator[None]:
        """While this lasts, a shell has the terminal: Ctrl-C is meant for what runs in it."""
        self._at_shell = True
        try:
            yield
        finally:
            self._at_shell = False

    @contextlib.contextmanager
    def watching(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """Kill the process if the run is cancelled while this lasts."""
        with self._lock:
            self._running.add(process)
            if self._requested.is_set():
                process.kill()
        try:
            yield
        finally:
            with self._lock:
                self._running.discard(process)


def _kill_namespace() -> None:
    """Kill all other processes of the pid namespace whose first process this is, kill(2)."""
    assert os.getpid() == 1
    with contextlib.suppress(OSError):
        os.kill(-1, signal.SIGKILL)


def _end_children() -> None:
    """Ask the children of this process to end."""
    parent = os.getpid()
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # Behind the name in parentheses come the state and the parent, proc_pid_stat(5).
            if int((directory / "stat").read_bytes().rpartition(b")")[2].split()[1]) == parent:
                os.kill(int(directory.name), signal.SIGTERM)
