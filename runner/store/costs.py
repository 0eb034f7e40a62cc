"""How long steps took, by the names of runner/costs.py: a small document in the store."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from runner.store import directories, files, records

KEPT = 2000  # names


class Costs:
    """The recorded times, which processes add to one at a time."""

    def __init__(self, path: Path, lock: Path) -> None:
        """path is the document, lock a file that is locked while it is changed."""
        self._path = path
        self._lock = lock

    def load(self) -> dict[str, float]:
        """Seconds by name, the most recent last; empty if there are none, or the document is damaged."""
        try:
            found = records.read(self._path)["seconds"]
            return {str(name): float(seconds) for name, seconds in found}
        except (OSError, records.DamagedError, LookupError, TypeError, ValueError):
            return {}

    def add(self, new: Mapping[str, float]) -> None:
        """Record times. What cannot be written, or while another process does the same, is lost: they are estimates."""
        if not new:
            return
        with contextlib.suppress(OSError):
            lock = files.open_lock(self._lock)
            try:
                if files.try_lock(lock):
                    known = {name: seconds for name, seconds in self.load().items() if name not in new}
                    kept = [*known.items(), *((name, round(seconds, 3)) for name, seconds in new.items())][-KEPT:]
                    if self._path.is_dir():  # not ours
                        directories.remove_tree(self._path)
                    records.write(self._path, {"seconds": kept})
            finally:
                os.close(lock)
