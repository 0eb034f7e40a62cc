"""The output directory: a file appears under its name only when it is whole."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from stagelib.errors import StageError

SCRATCH = "/var/tmp"  # noqa: S108 - private to the sandbox, and roomy where /tmp is memory


@contextmanager
def staged(output_dir: str, filename: str) -> Iterator[str]:
    """A directory beside the result; the file `filename` left in it becomes output_dir/filename at the end.

    On an exception everything goes and nothing appears. The file keeps its name while it is written, because some
    formats record it (vmdk). Raises StageError when filename is not a plain file name.
    """
    with all_staged(output_dir, [filename]) as partial:
        yield partial


@contextmanager
def all_staged(output_dir: str, filenames: Sequence[str]) -> Iterator[str]:
    """The same for several files, of which all appear or none."""
    for filename in filenames:
        if "/" in filename or "\0" in filename or filename in ("", ".", ".."):
            raise StageError(f"'{filename}' is not a file name", "filename names a file in the output directory")
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=output_dir) as partial:
        yield partial
        for filename in filenames:
            os.chmod(os.path.join(partial, filename), 0o644)
        for filename in filenames:
            os.rename(os.path.join(partial, filename), os.path.join(output_dir, filename))


@contextmanager
def scratch_beside(directory: str) -> Iterator[str]:
    """A private directory in `directory`, gone afterwards, for files that may be moved out of it."""
    with tempfile.TemporaryDirectory(prefix=".work-", dir=directory) as path:
        yield path


@contextmanager
def scratch() -> Iterator[str]:
    """A private directory for work files, gone afterwards."""
    path = tempfile.mkdtemp(prefix="image-", dir=SCRATCH)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def epoch() -> int:
    """SOURCE_DATE_EPOCH in seconds since 1970, at least 1: e2fsprogs takes 0 for "now".

    The runner always sets it. Raises KeyError if it is not there, ValueError if it is not a number.
    """
    return max(1, int(os.environ["SOURCE_DATE_EPOCH"]))
