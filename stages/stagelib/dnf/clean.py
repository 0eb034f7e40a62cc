"""What dnf leaves behind and no image should have."""

import os
import shutil

from stagelib import intree, leftovers

# Removed besides what every package manager leaves behind: logs tell of the time.
FILES = ("/var/log/dnf*.log", "/var/log/hawkey.log", "/var/log/dnf5.log*")
# Emptied: caches of dnf, and what is a file system in memory on the running system.
DIRECTORIES = ("/var/cache/dnf", "/var/cache/libdnf5", "/var/cache/yum", "/run", "/tmp", "/var/tmp")  # noqa: S108


def clean(tree: str) -> None:
    """Remove what no image should have from the tree."""
    leftovers.remove(tree, FILES)
    for directory in DIRECTORIES:
        host = intree.resolve(tree, directory)
        if os.path.isdir(host):
            for entry in list(os.scandir(host)):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)
