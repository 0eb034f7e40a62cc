"""gzip with all processors, as pigz(1) does it: one stream, made of pieces that are compressed at the same time.

Where pieces begin does not depend on the number of processors, so neither do the bytes. Format: RFC 1951, RFC 1952.
"""

import os
import struct
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import BinaryIO, Self

PIECE = 1 << 20
WINDOW = 1 << 15  # how far back deflate can refer: the end of a piece helps to compress the next one
LEVEL = 6  # gzip's own default
# Magic number, deflate; no flags, no time, no extra flags; made on Unix.
HEADER = b"\x1f\x8b\x08" + bytes(6) + b"\x03"


class Writer:
    """Takes data and writes its gzip form to `file`, inside a `with` block. The file stays open."""

    def __init__(self, file: BinaryIO, threads: int | None = None) -> None:
        """threads: how many pieces are compressed at a time; as many as there are processors by default."""
        self._file = file
        self._threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads)
        self._at_work: deque[Future[bytes]] = deque()
        self._rest = bytearray()
        self._window = b""
        self._checksum = 0
        self._size = 0
        file.write(HEADER)

    def write(self, data: bytes | memoryview) -> int:
        """Take more data, all of it. Raises OSError when the file cannot be written."""
        self._checksum = zlib.crc32(data, self._checksum)
        self._size += len(data)
        self._rest += data
        while len(self._rest) > PIECE:  # what comes last is never empty, but in an empty file
            self._begin(bytes(self._rest[:PIECE]), last=False)
            del self._rest[:PIECE]
        return len(data)

    def _begin(self, piece: bytes, *, last: bool) -> None:
        while len(self._at_work) > self._threads:
            self._file.write(self._at_work.popleft().result())
        self._at_work.append(self._pool.submit(_deflate, piece, self._window, last=last))
        self._window = piece[-WINDOW:]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._pool:
            if error is None:
                self._begin(bytes(self._rest), last=True)
                for piece in self._at_work:
                    self._file.write(piece.result())
                self._file.write(struct.pack("<2I", self._checksum, self._size & 0xFFFFFFFF))
            else:
                self._pool.shutdown(cancel_futures=True)


def _deflate(piece: bytes, window: bytes, *, last: bool) -> bytes:
    """A piece of a deflate stream, ending at a whole byte; `last` ends the stream."""
    # A raw stream. No dictionary is not the same as an empty one.
    options = (LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_DEFAULT_STRATEGY)
    made = zlib.compressobj(*options, window) if window else zlib.compressobj(*options)
    return made.compress(piece) + made.flush(zlib.Z_FINISH if last else zlib.Z_SYNC_FLUSH)
