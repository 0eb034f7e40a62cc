"""The serial console of a virtual machine: keeps everything it prints, and waits for patterns in it."""

import os
import re
import threading
import time
from pathlib import Path
from typing import IO

from osbuild_compose.errors import ComposeError, ExitCode

TAIL = 30  # lines of the console shown with an error

# After any of these the system cannot come up any more, so waiting is useless.
HOPELESS = re.compile(
    r"Kernel panic - not syncing|grub rescue>|ALERT! .* does not exist|No bootable device|You are in emergency mode"
)


class MachineError(ComposeError):
    """A virtual machine failed; the details are the last lines of its console."""

    exit_code = ExitCode.BUILD_FAILED

    def __init__(self, message: str, console: str = "") -> None:
        super().__init__(message, details=[line.rstrip() for line in console.splitlines()][-TAIL:])

    def __str__(self) -> str:
        return "\n    | ".join([self.brief, *self.details])


class Console:
    """Reads a stream to its end in a thread, so that the machine never blocks on writing."""

    def __init__(self, stream: IO[bytes], log: Path | None = None) -> None:
        """Start reading `stream`, with a copy to the file `log`."""
        self._stream = stream
        self._data = bytearray()
        self._seen = 0  # characters of the text that wait_for has passed
        self._changed = threading.Condition()
        self._ended = False
        self._log = log.open("wb", buffering=0) if log else None
        self._thread = threading.Thread(target=self._read, name="console", daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while data := os.read(self._stream.fileno(), 65536):
            with self._changed:
                self._data += data
                self._changed.notify_all()
            if self._log:
                self._log.write(data)
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def text(self) -> str:
        """Everything printed so far, without carriage returns, and with bytes that are not UTF-8 replaced."""
        with self._changed:
            return self._text()

    def _text(self) -> str:
        return self._data.decode("utf-8", "replace").replace("\r", "")

    def wait_for(self, pattern: str, timeout: float) -> re.Match[str]:
        """Wait at most `timeout` seconds for `pattern` (re.MULTILINE) after the previous match; returns the match.

        Raises MachineError on a timeout, when the stream ends, or when the system cannot come up (a kernel panic, for
        example).
        """
        wanted = re.compile(pattern, re.MULTILINE)
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                text = self._text()
                if match := wanted.search(text, self._seen):
                    self._seen = match.end()
                    return match
                if lost := HOPELESS.search(text, self._seen):
                    raise MachineError(f"the system is lost ({lost[0]}) while waiting for '{pattern}'", text)
                if self._ended:
                    raise MachineError(f"the machine has ended while waiting for '{pattern}'", text)
                left = deadline - time.monotonic()
                if left <= 0:
                    raise MachineError(f"'{pattern}' did not show up in {timeout:g} s", text)
                self._changed.wait(left)

    def close(self) -> None:
        """Wait for the end of the stream, which the caller has caused, and close it."""
        self._thread.join()
        self._stream.close()
        if self._log:
            self._log.close()
