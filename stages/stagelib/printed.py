"""What programs print, in bounded memory: a package's script may print for ever, and never a line break."""

from collections import deque
from collections.abc import Iterator
from typing import IO

LONGEST = 1 << 16  # characters of a line that are read at once; the rest is the next line
KEPT = 10_000  # lines
KEPT_LENGTH = 2_000  # characters of each


def lines(stream: IO[str]) -> Iterator[str]:
    """The lines of the stream with their line breaks; very long ones in parts."""
    while line := stream.readline(LONGEST):
        yield line


class Lines:
    """The first and the last lines of an output, each without its line break and cut after KEPT_LENGTH characters."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self._last: deque[str] = deque(maxlen=KEPT)

    def add(self, line: str) -> None:
        """Add a line."""
        text = line.rstrip("\n")[:KEPT_LENGTH]
        if len(self._first) < KEPT:
            self._first.append(text)
        else:
            self._last.append(text)

    def kept(self) -> list[str]:
        """The lines that were kept."""
        return [*self._first, *self._last]
