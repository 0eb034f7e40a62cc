"""Root hashes of dm-verity in files of the tree, which stays as it is: copies that have them are shown instead.

`@roothash:MOUNT@` in such a file stands for the root hash of the file system that is mounted at MOUNT; in a unified
kernel image it can be among the kernel's options only. Until it is known, zeroes are there: a copy has its final size
from the beginning.
"""

import fnmatch
import os
import re
import shutil
from collections.abc import Mapping, Sequence

from stagelib import lookup, uki
from stagelib.disk.errors import ImageError

DIGITS = 64  # of a sha256
TOKEN = re.compile(rb"@roothash:([^@\n]+)@")


class Copies:
    """Copies of files of a tree, to be shown in place of them; `files` has the copy's path for each."""

    def __init__(self, tree: str, paths: Sequence[str], work: str) -> None:
        """Copy the files `paths` (absolute, in `tree`) to the directory `work`.

        A star in the last part of a path stands for any text. Raises ImageError for one that is no regular file.
        """
        self.files: dict[str, str] = {}
        self._tree = tree
        for number, path in enumerate(one for given in paths for one in _named(tree, given)):
            host = tree.rstrip("/") + path
            if not os.path.isfile(host) or os.path.realpath(host) != os.path.realpath(tree).rstrip("/") + path:
                raise ImageError(f"the tree has no file {path}, free of symlinks, to write root hashes into")
            self.files[path] = os.path.join(work, f"root-hashes-{number}")
        self.fill({})

    def fill(self, known: Mapping[str, str]) -> None:
        """Write the root hashes, by mount points, into the copies."""

        def found(match: re.Match[bytes]) -> bytes:
            return known.get(os.fsdecode(match[1]), "0" * DIGITS).encode()

        for path, copy in self.files.items():
            source = self._tree.rstrip("/") + path
            with open(source, "rb") as reader, open(copy, "wb") as writer:  # noqa: PTH123
                data = reader.read()
                if uki.is_unified(data):
                    writer.write(uki.with_command_line(data, TOKEN.sub(found, uki.command_line(data))))
                else:
                    writer.write(TOKEN.sub(found, data))
            info = os.stat(source)
            os.chown(copy, info.st_uid, info.st_gid)
            shutil.copystat(source, copy)  # attributes that cannot be set are left out


def _named(tree: str, path: str) -> list[str]:
    """The files of the tree that the path means; itself when none is there."""
    above, _, name = path.rpartition("/")
    if "*" not in name:
        return [path]
    pattern = name.replace("[", "[[]").replace("?", "[?]")
    return [f"{above}/{one}" for one in fnmatch.filter(lookup.names(tree, above), pattern)] or [path]
