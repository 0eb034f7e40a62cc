"""Copy the data of a sparse file into a place in another, without its holes."""

import errno
import os

from stagelib.disk import sparse_scan, tools
from stagelib.disk.planner import Place
from stagelib.disk.sizes import human
from stagelib.errors import StageError

CHUNK = 1 << 30


def copy_into(source: str, image: str, place: Place) -> None:
    """Copy the file `source` to `place` in the file `image`, which has zeroes there, sharing blocks if possible.

    Raises StageError when it is larger than its place.
    """
    size = os.path.getsize(source)
    if size > place.size:
        raise StageError(f"a file system of {human(size)} does not fit into {human(place.size)}")
    reader, writer = os.open(source, os.O_RDONLY), os.open(image, os.O_WRONLY)
    try:
        at = 0
        while (extent := sparse_scan.next_extent(reader, at)) is not None:
            at, end = extent
            while at < end:
                at += _copy(reader, writer, at, place.start + at, min(CHUNK, end - at))
    finally:
        os.close(reader)
        os.close(writer)


def dig_holes(path: str) -> None:
    """Turn zeroes in a file into holes, after mkfs programs that write them."""
    try:
        tools.run(["fallocate", "--dig-holes", path])
    except tools.ToolError as error:
        if "not supported" not in error.output:  # by the file system
            raise


def _copy(reader: int, writer: int, at: int, to: int, count: int) -> int:
    """Have the kernel copy up to `count` bytes; returns how many it has copied."""
    try:
        return os.copy_file_range(reader, writer, count, at, to)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise
    os.lseek(writer, to, os.SEEK_SET)
    return os.sendfile(writer, reader, at, count)
