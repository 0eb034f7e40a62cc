"""What installing leaves behind and no image should have."""

import fnmatch
import os
from typing import Any

from stagelib import intree

# Removed: it would come again, tells of the build machine, or must differ on every machine. The last component may
# have wildcards; only files and symlinks are removed, directories stay as their packages ship them.
FILES = (
    "/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-", "/etc/.pwd.lock",
    "/etc/ssh/ssh_host_*_key", "/etc/ssh/ssh_host_*_key.pub",
    "/var/lib/dpkg/*-old", "/var/lib/dpkg/lock", "/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/triggers/Lock",
    "/var/lib/apt/lists/*", "/var/lib/apt/lists/partial/*", "/var/cache/apt/*.bin", "/var/cache/apt/archives/*",
    "/var/cache/apt/archives/partial/*", "/var/cache/debconf/*-old", "/var/cache/ldconfig/aux-cache",
    "/var/log/dpkg.log", "/var/log/alternatives.log", "/var/log/bootstrap.log", "/var/log/apt/*",
    "/var/lib/systemd/random-seed", "/var/lib/urandom/random-seed", "/var/lib/dbus/machine-id",
)  # fmt: skip

# Every machine makes its own at its first start: systemd asks for the file to be there and empty (machine-id(5)).
MACHINE_ID = "/etc/machine-id"


def clean(tree: str) -> None:
    """Remove what no image should have from the tree."""
    for pattern in FILES:
        directory, wanted = os.path.split(pattern)
        host = intree.resolve(tree, directory)
        if not os.path.isdir(host):
            continue
        for name in os.listdir(host):
            path = f"{host}/{name}"
            if fnmatch.fnmatchcase(name, wanted) and (os.path.islink(path) or not os.path.isdir(path)):
                os.unlink(path)
    if intree.exists(tree, MACHINE_ID):
        os.truncate(intree.resolve(tree, MACHINE_ID), 0)


def date_directories(tree: str, when: int) -> None:
    """Set the mtime of every directory to `when` (seconds since the epoch).

    Theirs tell when an entry was last made in them, which depends on the order of unpacking, and some packages
    (fontconfig) write it into their caches.
    """

    def stop(error: OSError) -> Any:
        raise error

    for directory, _, _ in os.walk(tree, onerror=stop):
        os.utime(directory, (when, when), follow_symlinks=False)
