"""The ingredients of earlier builds, with which a plan explains what has changed."""

import hashlib
import json
import os
from pathlib import Path

from runner.steps import PastBuild, PastStep, Step
from runner.store import directories, files
from runner.store.locks import Say

KEPT = 64
MAX_SIZE = 1 << 28  # bytes


class History:
    """Records of builds in a directory, one file each."""

    def __init__(self, directory: Path, say: Say) -> None:
        """directory exists, or will before anything is added. say gets messages about damaged records."""
        self._directory = directory
        self._say = say

    def add(self, name: str, steps: tuple[Step, ...]) -> None:
        """Record that these steps were built now; only the most recent records are kept."""
        record = [
            {"name": step.call.name, "key": step.key, "ingredients": json.loads(step.ingredients.canonical())}
            for step in steps
        ]
        data = json.dumps({"name": name, "steps": record}, sort_keys=True).encode()
        path = self._directory / f"{hashlib.sha256(data).hexdigest()}.json"
        if path.is_file():
            os.utime(path)
            return
        files.write_atomic(path, data)
        for old in self._newest_first()[KEPT:]:
            directories.remove_tree(old)

    def load(self) -> list[PastBuild]:
        """The builds, the most recent first; records that are not as they were written are removed."""
        builds = []
        for path in self._newest_first():
            try:
                builds.append(_read(path))
            except FileNotFoundError:
                continue  # another build removed it
            except (OSError, ValueError, KeyError, TypeError, RecursionError):
                self._say(f"the record of an earlier build, {path.name}, was damaged and is removed")
                directories.remove_tree(path)
        return builds

    def _newest_first(self) -> list[Path]:
        def age(path: Path) -> int:
            try:
                return path.lstat().st_mtime_ns
            except FileNotFoundError:
                return 0

        return sorted(self._directory.glob("*.json"), key=age, reverse=True)


def _read(path: Path) -> PastBuild:
    data = files.read_small(path, MAX_SIZE)
    if hashlib.sha256(data).hexdigest() != path.stem:
        raise ValueError("the name is not the digest")
    record = json.loads(data)
    return PastBuild(str(record["name"]), tuple(PastStep(**step) for step in record["steps"]))
