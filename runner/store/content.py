"""The content of large files: where they have data, and digests that pass over holes."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from runner.store import files

BLOCK = 1 << 22  # bytes
ZEROS = bytes(BLOCK)
BATCH = 64  # blocks
THREADS = 4
MAX_HOLES = 1 << 30


def data_ranges(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Where a file of `size` bytes has data: offsets and lengths. The rest are holes, lseek(2)."""
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError:  # nothing but a hole is left
            return
        end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        if end > start:
            yield start, end - start


def sparse_digest(path: Path, *, from_disk: bool = False) -> str:
    """A digest of a regular file: sha256 of its size and of the sha256 of each block that is not all zeros.

    Whether zeros are a hole makes no difference, so that 10 TB of nothing take no time, and a copy has the same digest.
    Blocks are read by several threads. from_disk: drop what memory has of the file before, so that what the disk has
    is read. Raises OSError.
    """
    with files.open_regular(path) as file:
        fd = file.fileno()
        size = os.fstat(fd).st_size
        if from_disk:
            files.forget(fd)

        def block(number: int) -> bytes:
            data = os.pread(fd, BLOCK, number * BLOCK)
            return b"" if data == ZEROS[: len(data)] else b"%d:%b" % (number, hashlib.sha256(data).digest())

        digest = hashlib.sha256(b"%d\n" % size)
        numbers = _blocks(data_ranges(fd, size))
        with ThreadPoolExecutor(THREADS) as pool:
            while batch := list(islice(numbers, BATCH)):
                for part in pool.map(block, batch):
                    digest.update(part)
    return digest.hexdigest()


def sha256(path: Path) -> str | None:
    """The plain sha256 of a regular file, as sha256sum prints it. Raises OSError.

    None for one with more than MAX_HOLES bytes of holes: to hash the zeros would take longer than to make the image.
    """
    with files.open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size - sum(length for _, length in data_ranges(file.fileno(), size)) > MAX_HOLES:
            return None
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _blocks(ranges: Iterable[tuple[int, int]]) -> Iterator[int]:
    """The numbers of the blocks that the ranges touch, each once."""
    after = 0
    for start, length in ranges:
        first, last = max(after, start // BLOCK), (start + length - 1) // BLOCK
        yield from range(first, last + 1)
        after = max(after, last + 1)
