"""The ingredients of earlier builds, with which a plan explains what has changed."""

import contextlib
import hashlib
import json
import os
from pathlib import Path

from runner.steps import PastStep, Step
from runner.store import files

KEPT = 64


class History:
    """Records of builds in a directory, one file each."""

    def __init__(self, directory: Path) -> None:
        """directory exists, or will before anything is added."""
        self._directory = directory

    def add(self, name: str, steps: tuple[Step, ...]) -> None:
        """Record that these steps were built now; only the most recent records are kept."""
        record = [
            {"name": step.call.name, "key": step.key, "ingredients": json.loads(step.ingredients.canonical())}
            for step in steps
        ]
        data = json.dumps({"name": name, "steps": record}, sort_keys=True).encode()
        path = self._directory / f"{hashlib.sha256(data).hexdigest()}.json"
        if path.exists():
            os.utime(path)
            return
        files.write_atomic(path, data)
        for old in self._newest_first()[KEPT:]:
            old.unlink(missing_ok=True)

    def load(self) -> list[tuple[PastStep, ...]]:
        """The builds, the most recent first; records that cannot be read are left out."""
        builds = []
        for path in self._newest_first():
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                builds.append(tuple(PastStep(**step) for step in json.loads(path.read_bytes())["steps"]))
        return builds

    def _newest_first(self) -> list[Path]:
        def age(path: Path) -> int:
            try:
                return path.stat().st_mtime_ns
            except FileNotFoundError:
                return 0

        return sorted(self._directory.glob("*.json"), key=age, reverse=True)
