"""Remove what installing packages leaves behind and images should not contain."""

import fnmatch
import os
import stat
from collections.abc import Iterable

from stagelib import removal, tree_paths, tree_walk
from stagelib.packages import keystore

# Files that would be made again, record the build machine, or must differ on every machine.
COMMON_FILES = (
    "/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-", "/etc/.pwd.lock",
    "/var/cache/ldconfig/aux-cache", "/var/lib/systemd/random-seed", "/var/lib/dbus/machine-id",
)  # fmt: skip
APT_FILES = (
    "/var/lib/dpkg/*-old", "/var/lib/dpkg/lock", "/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/triggers/Lock",
    "/var/lib/apt/lists/*", "/var/lib/apt/lists/partial/*", "/var/cache/apt/*.bin", "/var/cache/apt/archives/*",
    "/var/cache/apt/archives/partial/*", "/var/cache/debconf/*-old",
    "/var/log/dpkg.log", "/var/log/alternatives.log", "/var/log/bootstrap.log", "/var/log/apt/*",
    "/var/log/munin/munin-node-configure.log",
    "/var/lib/urandom/random-seed",
)  # fmt: skip
DNF_FILES = ("/var/log/dnf*.log", "/var/log/hawkey.log", "/var/log/dnf5.log*")  # logs have times in them
# Emptied: dnf's caches, and directories that are tmpfs on the running system.
DNF_DIRECTORIES = (
    "/var/cache/dnf", "/var/cache/libdnf5", "/var/cache/yum", "/run", "/tmp", "/var/tmp",  # noqa: S108
)  # fmt: skip

# Every machine creates its own at its first boot; for that the file must exist and be empty (machine-id(5)).
MACHINE_ID = "/etc/machine-id"


def clean_after_apt(tree: str) -> None:
    """Remove what apt, dpkg and packages' scripts left in the tree."""
    remove_files(tree, APT_FILES)
    tree_paths.empty(tree, MACHINE_ID)


def clean_after_dnf(tree: str) -> None:
    """Remove what dnf, rpm and packages' scripts left in the tree."""
    remove_files(tree, DNF_FILES)
    for directory in DNF_DIRECTORIES:
        for name in tree_paths.list_names(tree, directory):
            removal.remove_tree(f"{tree_paths.resolve(tree, directory)}/{name}")


def remove_files(tree: str, patterns: Iterable[str]) -> None:
    """Remove COMMON_FILES and all files that match the patterns: paths whose last component may have wildcards.

    Only files and symlinks are removed; directories stay as their packages ship them.
    """
    for pattern in (*COMMON_FILES, *patterns):
        directory, wanted = os.path.split(pattern)
        for name in fnmatch.filter(tree_paths.list_names(tree, directory), wanted):
            found = tree_paths.lookup(tree, f"{directory}/{name}", follow_last=False)
            if found is not None and not stat.S_ISDIR(found.st_mode):
                tree_paths.remove(tree, f"{directory}/{name}")


def make_reproducible(tree: str, when: int) -> None:
    """Take out of files what is of the moment at which packages were installed; `when` (seconds) stands for it."""
    found = tree_paths.lookup(tree, keystore.PATH)
    if found is not None and stat.S_ISREG(found.st_mode):
        data = keystore.with_times(tree_paths.read_bytes(tree, keystore.PATH), when)
        path, mode = tree_paths.inside(tree, keystore.PATH), stat.S_IMODE(found.st_mode)
        tree_paths.write_file(tree, path, data, mode=mode, uid=found.st_uid, gid=found.st_gid)


def date_directories(tree: str, when: int) -> None:
    """Set the mtime of every directory to `when` (seconds since the epoch).

    A directory's own mtime says when an entry was last made in it, which depends on the order of unpacking, and some
    packages (fontconfig) write it into their caches.
    """
    for directory in tree_walk.walk(tree):
        directory.set_time(when)
