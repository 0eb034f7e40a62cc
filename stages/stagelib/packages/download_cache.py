"""The downloads that builds share: read-only for a stage, which leaves new ones in a directory of its own.

    sha256/<hex>            a file, by its digest
    indexes/<hex>.json      what a stage wants to know of its files in the next build
    used                    in the stage's directory: the digests of shared files that it needed, one a line

When the stage has ended, the runner takes over regular files with these names, if a file has the digest of its name.
The shared directories cannot be listed: whoever does not know a file's digest does not get it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from stagelib import removal

SHARED = "/run/osbuild/downloads"  # absent when the runner keeps none
NEW = "/run/osbuild/new-downloads"
MAX_NAME = 255  # bytes


@dataclass(frozen=True)
class Downloads:
    """The directories `shared`, which is read-only and may be absent, and `new`, which is this stage's own."""

    shared: str
    new: str

    @property
    def directories(self) -> list[str]:
        """The directories with files by digest, this stage's own first."""
        return [path for top in (self.new, self.shared) if os.path.isdir(path := f"{top}/sha256")]

    def find(self, digest: str) -> str | None:
        """The path of the file with this digest, which is not verified; None if there is none."""
        paths = (f"{directory}/{digest}" for directory in self.directories)
        return next(filter(os.path.isfile, paths), None)

    def find_verified(self, digest: str) -> str | None:
        """The path of the file with this digest; None if there is none, or only a damaged one."""
        path = self.find(digest)
        if path is None or sha256(path) != digest:
            return None
        with open(f"{self.new}/used", "a", encoding="ascii") as file:  # so that it is not the first to be removed
            file.write(f"{digest}\n")
        return path

    def add(self, path: str, digest: str) -> str:
        """Add a file of this stage, which must be on the file system of `new`; returns the path by its digest."""
        os.makedirs(f"{self.new}/sha256", exist_ok=True)
        target = f"{self.new}/sha256/{digest}"
        with suppress(FileNotFoundError):
            os.unlink(target)
        os.chmod(path, 0o644)
        os.link(path, target)
        return target

    def read_index(self, what: str) -> Mapping[str, Any]:
        """What save_index() saved by the same name in an earlier build; empty if there is nothing usable."""
        for top in (self.new, self.shared):
            try:
                with open(f"{top}/{_index(what)}", encoding="utf-8") as file:
                    index = json.load(file)
            except (FileNotFoundError, ValueError, RecursionError):
                continue
            if isinstance(index, dict):
                return index
        return {}

    def save_index(self, what: str, index: Mapping[str, Any]) -> None:
        """Save a JSON object by a name, for later builds."""
        path = f"{self.new}/{_index(what)}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(f"{path}.new", "w", encoding="utf-8") as file:
            json.dump(index, file, indent=1)
        os.replace(f"{path}.new", path)

    @contextmanager
    def scratch(self) -> Iterator[str]:
        """A new directory from which files can be added; removed at the end."""
        with removal.temporary_directory(".scratch-", self.new) as path:
            yield path


def shared(work: str) -> Downloads:
    """The downloads that the runner shows to this stage; where it keeps none, a new directory in `work`."""
    if os.path.isdir(NEW):
        return Downloads(SHARED, NEW)
    own = f"{work}/downloads"
    os.makedirs(own, exist_ok=True)
    return Downloads(own, own)


def is_file_name(name: str) -> bool:
    """Whether a file can have this name, which leads to no other directory; names in an index may be anybody's."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return 0 < size <= MAX_NAME and name not in (".", "..") and not {"/", "\0"} & set(name)


def copy(source: str, target: str, mtime_ns: int) -> None:
    """Copy a shared file, with a modification time in nanoseconds."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copyfile(source, target)
    os.utime(target, ns=(mtime_ns, mtime_ns))


def sha256(path: str) -> str:
    """The digest of a file, in hexadecimal. Raises FileNotFoundError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _index(what: str) -> str:
    return f"indexes/{hashlib.sha256(what.encode()).hexdigest()}.json"
