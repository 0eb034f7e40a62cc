"""The compressed members of a .deb, decompressed piece by piece: every compression that dpkg knows (deb(5))."""

import bz2
import lzma
import os
import shutil
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Protocol

CHUNK = 1 << 20  # bytes read or decompressed at a time
MEMORY = 400 << 20  # bytes that xz and zstd may take; their strongest levels take up to 65 and 128 MiB

# The room for an archive's content: what the package says about itself, or what compression usually makes of it. More
# is an error, so that a small archive cannot fill the disk.
SPARE = 64 << 20  # bytes
DECLARED = 2  # times Installed-Size
USUAL = 200  # times the compressed size


class DebError(Exception):
    """The file is not a readable .deb; the message says why."""


class TooLargeError(DebError):
    """Its content is much larger than the package says and archives usually are."""


def room(compressed: int, declared: int) -> int:
    """The most bytes that an archive of `compressed` bytes may unpack to; declared: Installed-Size in bytes, or 0."""
    return SPARE + max(DECLARED * declared, USUAL * compressed)


class _Decompressor(Protocol):
    @property
    def needs_input(self) -> bool: ...
    @property
    def eof(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Stored:
    needs_input = True
    eof = False

    def decompress(self, data: bytes, _max_length: int, /) -> bytes:
        return data


class _Gzip:
    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail or data, max_length)


DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {
    "": _Stored,
    ".gz": _Gzip,
    ".bz2": bz2.BZ2Decompressor,
    ".xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, MEMORY),
    ".lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, MEMORY),
}
ZSTD = ".zst"  # which Python learns only in 3.14
DAMAGED = (lzma.LZMAError, zlib.error, OSError, ValueError, EOFError)


def decompressed(fd: int, offset: int, size: int, suffix: str) -> Iterator[bytes]:
    """The content of the member of `size` bytes at `offset`, in pieces; suffix: the part of its name after ".tar".

    Raises DebError.
    """
    if suffix == ZSTD:
        return _by_zstd(fd, offset, size)
    if suffix not in DECOMPRESSORS:
        raise DebError(f"its compression {suffix} is unknown")
    return _decompressed(DECOMPRESSORS[suffix](), fd, offset, size)


def _decompressed(decompressor: _Decompressor, fd: int, offset: int, size: int) -> Iterator[bytes]:
    at, end = offset, offset + size
    while not decompressor.eof:
        data = b""
        if decompressor.needs_input:
            data = os.pread(fd, min(CHUNK, end - at), at)
            at += len(data)
            if not data:
                return
        try:
            made = decompressor.decompress(data, CHUNK)
        except DAMAGED as error:
            raise DebError(f"it is damaged: {error}") from None
        if made:
            yield made


def _by_zstd(fd: int, offset: int, size: int) -> Iterator[bytes]:
    if shutil.which("zstd") is None:
        raise DebError("it is compressed with zstd, which is not installed where stages run")
    argv = ["zstd", "--decompress", "--stdout", "--quiet", f"--memory={MEMORY}"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        feeder = threading.Thread(target=_feed, args=(fd, offset, size, process.stdin), daemon=True)
        feeder.start()
        try:
            while data := process.stdout.read(CHUNK):
                yield data
        except GeneratorExit:
            process.kill()
            raise
        finally:
            feeder.join()
        why = process.stderr.read().decode("utf-8", "replace").strip().rpartition(" : ")[2]
    if process.returncode != 0:
        raise DebError(f"it is damaged: {why}")


def _feed(fd: int, offset: int, size: int, pipe: IO[bytes]) -> None:
    """Write the member to zstd's input; it stops reading where it finds damage."""
    try:
        with pipe:
            while size and (data := os.pread(fd, min(CHUNK, size), offset)):
                pipe.write(data)
                offset, size = offset + len(data), size - len(data)
    except BrokenPipeError:
        pass


class Stream:
    """The bytes of a compressed member, decompressed as they are read: memory stays bounded."""

    def __init__(self, pieces: Iterator[bytes], limit: int) -> None:
        """limit: bytes after which it is an error that there are more."""
        self._pieces, self._left, self._limit = pieces, limit, limit
        self._buffer = b""
        self._used = 0

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes. Raises DebError when there are fewer."""
        if self._used + size <= len(self._buffer):
            start, self._used = self._used, self._used + size
            return self._buffer[start : self._used]
        parts = []
        while size > 0:
            part = self.chunk(size)
            if not part:
                raise DebError("it ends too early")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def chunk(self, limit: int) -> bytes:
        """At least one and at most `limit` bytes, as many as are buffered; b"" at the end. Raises DebError."""
        if self._used == len(self._buffer):
            self._buffer, self._used = next(self._pieces, b""), 0
            self._left -= len(self._buffer)
            if self._left < 0:
                most = f"{self._limit >> 20} MiB"
                raise TooLargeError(f"it unpacks to more than {most}, unlike its size and Installed-Size")
        start, self._used = self._used, min(self._used + limit, len(self._buffer))
        return self._buffer[start : self._used]
