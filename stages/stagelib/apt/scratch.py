"""Temporary directories beside shared files, so that files can be linked and renamed between them."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

PREFIX = ".scratch-"
FORGOTTEN = 24 * 3600  # seconds after which a directory of a stage that was killed is removed


@contextmanager
def directory(parent: str) -> Iterator[str]:
    """A new directory in `parent`, removed at the end; what killed processes left there long ago goes too."""
    for entry in os.scandir(parent):
        if entry.name.startswith(PREFIX) and entry.stat(follow_symlinks=False).st_mtime < time.time() - FORGOTTEN:
            shutil.rmtree(entry.path, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=parent) as path:
        yield path
