"""What installing leaves behind and no image should have."""

import fnmatch
import os
import shutil

from stagelib import intree

# Removed: it would come again, tells of the build machine or the time, or must differ on every machine. The last
# component may have wildcards; only files and symlinks are removed, directories stay as their packages ship them.
FILES = (
    "/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-", "/etc/.pwd.lock",
    "/etc/ssh/ssh_host_*_key", "/etc/ssh/ssh_host_*_key.pub", "/var/lib/systemd/random-seed",
    "/var/log/dnf*.log", "/var/log/hawkey.log", "/var/log/dnf5.log*", "/var/cache/ldconfig/aux-cache",
    "/var/lib/dbus/machine-id",
)  # fmt: skip
# Emptied: caches of dnf, and what is a file system in memory on the running system.
DIRECTORIES = ("/var/cache/dnf", "/var/cache/libdnf5", "/var/cache/yum", "/run", "/tmp", "/var/tmp")  # noqa: S108


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
    for directory in DIRECTORIES:
        host = intree.resolve(tree, directory)
        if os.path.isdir(host):
            for entry in list(os.scandir(host)):
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)
