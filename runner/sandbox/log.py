"""A program's output: its beginning and end in memory, all of it in a file if it is long, and its lines as events.

A program that prints a lot must not wait for us: what is done for each line is done for the first ones, and for so many
each second; the others are only counted.
"""

import contextlib
import os
import shutil
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

KEPT = 256 << 10  # bytes of the beginning, and as many of the end
MAX_LINE = 64 << 10  # bytes; a longer line is passed on in parts
BURST = 10_000  # lines that are passed on whatever their rate
RATE = 1_000  # further lines a second
BYTES_PER_LINE = 256  # on average; a line of twice as many counts as two
LAST = 20  # lines at the end that are passed on in any case
RESERVE = 64 << 20  # bytes of its file system that the file leaves free
BETWEEN_CHECKS = 16 << 20  # bytes


class Log:
    """Takes the output of one program as it comes. on_line gets lines, without their ends."""

    def __init__(self, path: Path | None, on_line: Callable[[str], None]) -> None:
        """path is the file for the whole of a long output, in a directory that is made if it is missing."""
        self._path = path
        self._on_line = on_line
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._size = 0
        self._file: BinaryIO | None = None
        self._writable = path is not None
        self._unchecked = 0
        self._rest = b""  # of a line that is not complete
        self._tokens = float(BURST)
        self._filled = time.monotonic()
        self._skipping = False
        self._skipped = 0
        self._last: deque[bytes] = deque(maxlen=LAST)  # of the skipped lines

    def add(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self._keep(chunk)
        self._pass_on(chunk)

    def close(self) -> None:
        """Take the end of the output."""
        if self._rest:
            self._line(self._rest)
            self._rest = b""
        self._end_gap()
        if self._file:
            with contextlib.suppress(OSError):
                self._file.close()

    @property
    def file(self) -> Path | None:
        """The file that has the whole output; None if the text has it."""
        return self._path if self._file else None

    @property
    def text(self) -> str:
        """The output, or where it is long its beginning and its end."""
        tail = b"".join(self._tail)[-KEPT:]
        dropped = self._size - len(self._head) - len(tail)
        data = bytes(self._head)
        if dropped:
            where = f"; all of it is in {self._path}" if self._writable and self._file else ""
            data = data[: data.rfind(b"\n") + 1] + f"… {dropped} bytes are left out here{where} …\n".encode()
            tail = tail[tail.find(b"\n") + 1 :]
        lines = (data + tail).decode(errors="replace").removesuffix("\n").split("\n")
        return "\n".join(line.rstrip("\r") for line in lines)

    def _keep(self, chunk: bytes) -> None:
        self._size += len(chunk)
        if len(self._head) < KEPT:
            room = KEPT - len(self._head)
            self._head += chunk[:room]
            rest = chunk[room:]
        else:
            rest = chunk
        if rest:
            self._tail.append(rest)
            self._tail_size += len(rest)
            if self._size > 2 * KEPT and self._writable:
                self._write(chunk)
            while self._tail_size - len(self._tail[0]) >= KEPT:
                self._tail_size -= len(self._tail.popleft())

    def _write(self, chunk: bytes) -> None:
        """Write to the file, unless its file system is full; then the rest of the output is not kept."""
        assert self._path
        try:
            if self._file is None:
                self._path.parent.mkdir(mode=0o700, exist_ok=True)
                self._path.unlink(missing_ok=True)
                self._file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", 0)
                chunk = bytes(self._head) + b"".join(self._tail)  # the chunk is in there
            self._unchecked += len(chunk)
            if self._unchecked >= BETWEEN_CHECKS:
                self._unchecked = 0
                if shutil.disk_usage(self._path.parent).free < RESERVE:
                    self._writable = False
                    return
            view = memoryview(chunk)
            while view:
                view = view[self._file.write(view) :]
        except OSError:
            self._writable = False

    def _pass_on(self, chunk: bytes) -> None:
        now = time.monotonic()
        self._tokens = min(float(BURST), self._tokens + (now - self._filled) * RATE)
        self._filled = now
        self._skipping = self._skipping and self._tokens < RATE  # at most once a second
        start = 0
        while not self._skipping:
            end = chunk.find(b"\n", start)
            if end < 0:
                break
            self._line(self._rest + chunk[start:end])
            self._rest = b""
            start = end + 1
        if self._skipping:
            self._skip(chunk[start:])
            return
        self._rest += chunk[start:]
        while len(self._rest) > MAX_LINE:
            self._line(self._rest[:MAX_LINE])
            self._rest = self._rest[MAX_LINE:]

    def _skip(self, data: bytes) -> None:
        """Count lines that are not passed on, and keep the last ones."""
        number = data.count(b"\n")
        if number == 0:
            self._rest = (self._rest + data)[-MAX_LINE:]
            return
        self._skipped += number
        end = data.rfind(b"\n")
        start = max(0, end - LAST * MAX_LINE // 16)
        lines = data[start:end].split(b"\n")
        if number <= LAST:
            lines[0] = (self._rest + lines[0])[-MAX_LINE:]
        self._last.extend(lines[-LAST:])
        self._rest = data[end + 1 :][-MAX_LINE:]

    def _line(self, line: bytes) -> None:
        self._end_gap()
        self._tokens -= max(1, len(line) // BYTES_PER_LINE)
        self._skipping = self._tokens < 1
        self._on_line(line.decode(errors="replace").rstrip("\r"))

    def _end_gap(self) -> None:
        if self._skipped:
            hidden = self._skipped - len(self._last)
            if hidden > 0:
                self._on_line(f"… {hidden} lines skipped …")
            self._skipped = 0
            for line in self._last:
                self._on_line(line.decode(errors="replace").rstrip("\r"))
            self._last.clear()
