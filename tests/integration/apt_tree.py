"""Describing a tree completely, to compare it with another. Also a program: it runs in the tree's user namespace."""

import hashlib
import json
import os
import stat
import sys
from pathlib import Path


def describe(tree: str, newest: int) -> dict[str, list[object]]:
    """Every entry of the tree: type and mode, owners, content (digest, target or device), extended attributes, mtime.

    An mtime later than `newest` (seconds) is that of the clock while the stage ran: given as `newest`.
    """
    entries: dict[str, list[object]] = {}
    for directory, names, files in os.walk(tree):
        for name in (*names, *files):
            path = Path(directory, name)
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            elif stat.S_ISLNK(status.st_mode):
                content = str(path.readlink())
            else:
                content = str(status.st_rdev)
            attributes = {
                key: os.getxattr(path, key, follow_symlinks=False).hex()
                for key in os.listxattr(path, follow_symlinks=False)
            }
            mtime = min(int(status.st_mtime), newest)
            mode = f"{status.st_mode:o}"
            entries["/" + str(path.relative_to(tree))] = [
                mode,
                status.st_uid,
                status.st_gid,
                content,
                attributes,
                mtime,
            ]
    return entries


if __name__ == "__main__":
    json.dump(describe(sys.argv[1], int(sys.argv[2])), sys.stdout)
