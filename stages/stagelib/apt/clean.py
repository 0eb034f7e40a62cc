"""What apt and dpkg leave behind and no image should have."""

import os
from typing import Any

from stagelib import intree, leftovers

# Removed besides what every package manager leaves behind.
FILES = (
    "/var/lib/dpkg/*-old", "/var/lib/dpkg/lock", "/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/triggers/Lock",
    "/var/lib/apt/lists/*", "/var/lib/apt/lists/partial/*", "/var/cache/apt/*.bin", "/var/cache/apt/archives/*",
    "/var/cache/apt/archives/partial/*", "/var/cache/debconf/*-old",
    "/var/log/dpkg.log", "/var/log/alternatives.log", "/var/log/bootstrap.log", "/var/log/apt/*",
    "/var/lib/urandom/random-seed",
)  # fmt: skip

# Every machine makes its own at its first start: systemd asks for the file to be there and empty (machine-id(5)).
MACHINE_ID = "/etc/machine-id"


def clean(tree: str) -> None:
    """Remove what no image should have from the tree."""
    leftovers.remove(tree, FILES)
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
