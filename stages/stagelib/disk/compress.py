"""Compressing with all processors; their number does not change the bytes."""

import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO, cast

from stagelib.disk import tools

# The command line of each program, from standard input to standard output. None records a name or a time (but lzop, see
# archive.py). zstd and pigz make the same bytes with any number of threads, xz where blocks have a fixed size.
PROGRAMS = {
    "bzip2": ("bzip2", "--stdout"),
    "gzip": ("pigz", "--stdout", "--no-name", "--blocksize", "128"),  # KiB
    "lzip": ("lzip", "--stdout"),
    "lzma": ("xz", "--format=lzma", "--stdout"),
    "lzop": ("lzop", "--no-name", "--stdout"),
    "xz": ("xz", "--stdout", "--block-size=24MiB"),
    "xz for a kernel": ("xz", "--stdout", "--block-size=24MiB", "--check=crc32"),  # which supports no other checksum
    "zstd": ("zstd", "--quiet", "--stdout", "--threads=0"),
}
BUFFER = 1 << 20
_ZEROES = memoryview(bytes(BUFFER))

Take = Callable[[memoryview], object]  # takes all of the data


def argv(compression: str) -> list[str]:
    """The command line for a key of PROGRAMS on this machine."""
    return [*PROGRAMS[compression], *(xz_threads() if compression.startswith("xz") else ())]


def xz_threads() -> list[str]:
    """xz's option for all processors: at least two threads, because its single-threaded mode makes other bytes."""
    return [f"--threads={max(2, os.cpu_count() or 1)}"]


@contextmanager
def writing(targets: Mapping[str | None, str], *others: Take) -> Iterator[BinaryIO]:
    """A file to write to; what is written ends up in the new files `targets` (path by compression).

    A compression is a key of PROGRAMS, or None for not at all. `others` get the same data, not compressed.
    Raises StageError when a program is missing, fails or has no room.
    """
    with ExitStack() as stack:
        takers = [stack.enter_context(_taker(compression, path)) for compression, path in targets.items()]
        tee = io.BufferedWriter(cast("io.RawIOBase", _Tee([*takers, *others])), BUFFER)
        yield cast("BinaryIO", tee)
        tee.flush()


@contextmanager
def _taker(compression: str | None, path: str) -> Iterator[Take]:
    if compression is not None:
        with tools.feed(argv(compression), path) as take:
            yield take
        return
    with open(path, "wb") as file:
        yield lambda data: _write_sparsely(file, data)
        file.truncate()


def _write_sparsely(file: BinaryIO, data: memoryview) -> None:
    if data == _ZEROES[: len(data)]:
        file.seek(len(data), os.SEEK_CUR)
    else:
        file.write(data)


class _Tee(io.RawIOBase):
    """Passes on what is written and counts it."""

    def __init__(self, takers: Sequence[Take]) -> None:
        super().__init__()
        self._takers = takers
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:  # a memoryview, from BufferedWriter
        for take in self._takers:
            take(data)
        self._written += len(data)
        return len(data)

    def tell(self) -> int:
        return self._written
