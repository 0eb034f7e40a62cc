"""Find the parts of a file that are not zeroes."""

import errno
import os
from collections.abc import Iterator

PART = 1 << 20


def data_parts(file: int, piece: int) -> Iterator[tuple[int, bytes]]:
    """The data of an open file without zeroes: offsets, and up to 1 MiB from there.

    Holes and runs of `piece` zeroes at multiples of `piece` (a power of 2, at most 1 MiB) are skipped.
    """
    at, nothing = 0, bytes(piece)
    while (found := next_extent(file, at)) is not None:
        at = found[0] // PART * PART
        part = os.pread(file, PART, at)
        start = None
        for first in range(0, len(part), piece):
            empty = part[first : first + piece] == nothing[: len(part) - first]
            if empty and start is not None:
                yield at + start, part[start:first]
                start = None
            elif not empty and start is None:
                start = first
        if start is not None:
            yield at + start, part[start:]
        at += PART


def next_extent(file: int, at: int) -> tuple[int, int] | None:
    """The start and end of the next data after `at`; None when there is none."""
    try:
        start = os.lseek(file, at, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise
    return start, os.lseek(file, start, os.SEEK_HOLE)
