"""The user's directories for caches."""

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from osbuild_compose.errors import HostError


def home(environ: Mapping[str, str]) -> Path:
    """The directory of all caches: $XDG_CACHE_HOME or ~/.cache. Values that are not absolute paths do not count.

    Raises HostError for a user without a home directory.
    """
    cache = Path(environ.get("XDG_CACHE_HOME", ""))
    if cache.is_absolute():
        return cache
    own = Path(environ.get("HOME", ""))
    if not own.is_absolute():
        try:
            own = Path(pwd.getpwuid(os.getuid()).pw_dir)
        except KeyError:
            own = Path()
    if not own.is_absolute():
        raise HostError("this user has no home directory", hint="set HOME, or name a store with --store")
    return own / ".cache"


def directory(name: str) -> Path | None:
    """The directory `name` of the user's cache, created if need be.

    None if it cannot be created, or if others may write to it: what it contains is trusted.
    """
    try:
        found = home(os.environ) / name
        found.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = found.stat()
    except (OSError, HostError):
        return None
    return None if status.st_uid != os.geteuid() or status.st_mode & 0o022 else found
