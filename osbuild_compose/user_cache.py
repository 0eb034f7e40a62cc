"""The user's directories for caches."""

import os
from pathlib import Path


def directory(name: str) -> Path | None:
    """The directory `name` of the user's cache, created if need be.

    None if it cannot be created, or if others may write to it: what it contains is trusted.
    """
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        found = (home if home.is_absolute() else Path.home() / ".cache") / name
        found.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = found.stat()
    except (OSError, RuntimeError):
        return None
    return None if status.st_uid != os.geteuid() or status.st_mode & 0o022 else found
