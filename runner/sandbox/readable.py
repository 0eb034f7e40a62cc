"""Directories of the caller's, such as libdirs, for sandboxes, which do not have the caller's id."""

import os
import shutil
import stat
import threading
from pathlib import Path


class ReadableDirectories:
    """Directories as they are where others may read them, otherwise as copies."""

    def __init__(self, copies: Path) -> None:
        """copies is an existing directory for the copies."""
        self._copies = copies
        self._known: dict[Path, Path] = {}
        self._lock = threading.Lock()

    def get(self, directory: Path) -> Path:
        """The directory, or its copy with the same content. Raises OSError."""
        with self._lock:
            if directory not in self._known:
                self._known[directory] = self._readable(directory)
            return self._known[directory]

    def _readable(self, directory: Path) -> Path:
        if all(_others_may(parent, stat.S_IXOTH) for parent in directory.parents) and _all_readable(directory):
            return directory
        copy = self._copies / str(len(self._known))
        # It keeps times, which compiled Python modules are checked against.
        shutil.copytree(directory, copy, ignore=_what_is_no_file, ignore_dangling_symlinks=True)
        for where, _, names in os.walk(copy):
            os.chmod(where, 0o755)  # noqa: S103 - below a private directory
            for name in names:
                path = os.path.join(where, name)
                os.chmod(path, 0o755 if os.stat(path).st_mode & stat.S_IXUSR else 0o644)
        return copy


def _all_readable(directory: Path) -> bool:
    for where, _, names in os.walk(directory):
        if not _others_may(where, stat.S_IROTH | stat.S_IXOTH):
            return False
        paths = [os.path.join(where, name) for name in names]
        if not all(_others_may(path, stat.S_IROTH) for path in paths if os.path.exists(path)):
            return False
    return True


def _others_may(path: str | Path, bits: int) -> bool:
    return os.stat(path).st_mode & bits == bits


def _what_is_no_file(directory: str, names: list[str]) -> list[str]:
    """The names of sockets, devices and FIFOs, which can't be copied."""
    paths = {name: os.path.join(directory, name) for name in names}
    return [
        name
        for name, path in paths.items()
        if not (os.path.islink(path) or os.path.isdir(path) or os.path.isfile(path))
    ]
