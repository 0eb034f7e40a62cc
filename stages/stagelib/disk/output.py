"""The output directory: files appear in it only when they are complete."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from stagelib import removal
from stagelib.errors import StageError

SCRATCH = "/var/tmp"  # noqa: S108 - private to the sandbox, and roomy where /tmp is memory


@contextmanager
def staged(output_dir: str, filename: str) -> Iterator[str]:
    """A temporary directory; the file `filename` in it becomes output_dir/filename at the end.

    On an exception everything is removed and nothing appears. The file has its final name while it is written, because
    some formats record it (vmdk). Raises StageError when filename is not a plain file name.
    """
    with all_staged(output_dir, [filename]) as partial:
        yield partial


@contextmanager
def all_staged(output_dir: str, filenames: Sequence[str]) -> Iterator[str]:
    """The same for several files, all or none of which appear."""
    for filename in filenames:
        if "/" in filename or "\0" in filename or filename in ("", ".", ".."):
            raise StageError(f"'{filename}' is not a file name", "filename names a file in the output directory")
    with removal.temporary_directory(".partial-", output_dir) as partial:
        yield partial
        for filename in filenames:
            os.chmod(os.path.join(partial, filename), 0o644)
        for filename in filenames:
            os.rename(os.path.join(partial, filename), os.path.join(output_dir, filename))


@contextmanager
def scratch_in(directory: str) -> Iterator[str]:
    """A temporary directory in `directory`, for files that may be moved out of it."""
    with removal.temporary_directory(".work-", directory) as path:
        yield path


@contextmanager
def scratch() -> Iterator[str]:
    """A temporary directory for work files."""
    with removal.temporary_directory("image-", SCRATCH) as path:
        yield path


def epoch() -> int:
    """SOURCE_DATE_EPOCH in seconds since 1970, at least 1, since e2fsprogs takes 0 for "now".

    The runner always sets it. Raises KeyError if it is not set, ValueError if it is not a number.
    """
    return max(1, int(os.environ["SOURCE_DATE_EPOCH"]))
