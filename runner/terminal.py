"""The runner's output for people, on streams that no text can use to control their terminal.

Text from pipelines, stages, file names and servers is printed in many places. It is filtered in one: the stream that
everything is written to.
"""

import errno
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from runner.errors import environment_error, printable

# Escape sequences of our own contain a random number, which no text from elsewhere can know.
ESCAPE = f"\033{os.urandom(8).hex()}"

HUNG_UP = (errno.EIO, errno.EPIPE)
_OWN = re.compile(rf"{re.escape(ESCAPE)}(\[[0-9;]+m)")


def bold(text: str) -> str:
    """The text in bold, for a stream that protect() made."""
    return f"{ESCAPE}[1m{text}{ESCAPE}[0m"


def filtered(text: str) -> str:
    """The text as it may reach a terminal: `printable` in each of its lines, and what bold() adds."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"\033{part}" if index % 2 else "\n".join(map(printable, part.split("\n")))
        for index, part in enumerate(_OWN.split(text))
    )


class SafeStream(io.TextIOWrapper):
    """A standard stream. Everything that is written to it is filtered.

    What cannot be written is lost, so that nothing that is being built fails because of it; `failure` says why, and
    has_hung_up whether that is because the terminal was closed, or whoever read a pipe has gone.
    """

    def __init__(self, fd: int, encoding: str | None) -> None:
        """fd is written to and never closed. Characters that the encoding (None: UTF-8) lacks are escaped."""
        out = open(fd, "wb", closefd=False)  # noqa: SIM115
        super().__init__(out, encoding or "utf-8", errors="backslashreplace", line_buffering=True)
        self.failure = ""
        self.has_hung_up = False

    def write(self, text: str) -> int:
        """Write the text filtered."""
        with self._noting_failures():
            super().write(filtered(text))
        return len(text)

    def flush(self) -> None:
        """Write what is kept back."""
        with self._noting_failures():
            super().flush()

    @contextmanager
    def _noting_failures(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            self.failure = self.failure or (error.strerror if isinstance(error, OSError) else None) or str(error)
            self.has_hung_up |= isinstance(error, OSError) and error.errno in HUNG_UP

    def check(self) -> None:
        """Write what is kept back. Raises RunnerError (environment) if anything was lost."""
        self.flush()
        if self.failure:
            raise environment_error(f"cannot write to standard output: {self.failure}")


def open_missing() -> None:
    """Open standard streams that are closed: the next file that is opened would get their numbers."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)  # writing to it fails
