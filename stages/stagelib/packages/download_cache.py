"""The directory of downloads that builds share: temporary directories in it, and digests of files."""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from stagelib import removal
from stagelib.errors import StageError

DOWNLOADS = "/run/osbuild/downloads"  # shared by all builds; absent when the runner keeps none
PREFIX = ".scratch-"
FORGOTTEN = 24 * 3600  # seconds after which a directory of a stage that was killed is removed


def shared_directory(work: str) -> str:
    """The directory where downloads are kept: the one that builds share, or a new one in `work`."""
    if os.path.isdir(DOWNLOADS):
        return DOWNLOADS
    own = f"{work}/downloads"
    os.makedirs(own, exist_ok=True)
    return own


@contextmanager
def scratch_directory(parent: str) -> Iterator[str]:
    """A new directory in `parent`, so that files can be linked and renamed between them; removed at the end.

    What killed processes left there long ago is removed, too.
    """
    for entry in os.scandir(parent):
        if entry.name.startswith(PREFIX) and entry.stat(follow_symlinks=False).st_mtime < time.time() - FORGOTTEN:
            with suppress(OSError, StageError):
                removal.remove_tree(entry.path)
    with removal.temporary_directory(PREFIX, parent) as path:
        yield path


def sha256(path: str) -> str:
    """The digest of a file, in hexadecimal. Raises FileNotFoundError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
