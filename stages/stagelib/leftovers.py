"""What installing packages leaves behind and no image should have, whatever the package manager."""

import fnmatch
import os
from collections.abc import Iterable

from stagelib import intree

# It would come again, tells of the build machine, or must differ on every machine.
FILES = (
    "/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-", "/etc/.pwd.lock",
    "/etc/ssh/ssh_host_*_key", "/etc/ssh/ssh_host_*_key.pub", "/var/cache/ldconfig/aux-cache",
    "/var/lib/systemd/random-seed", "/var/lib/dbus/machine-id",
)  # fmt: skip


def remove(tree: str, patterns: Iterable[str]) -> None:
    """Remove FILES, and what matches the patterns: paths of the tree whose last component may have wildcards.

    Only files and symlinks go; directories stay as their packages ship them.
    """
    for pattern in (*FILES, *patterns):
        directory, wanted = os.path.split(pattern)
        host = intree.resolve(tree, directory)
        if not os.path.isdir(host):
            continue
        for name in os.listdir(host):
            path = f"{host}/{name}"
            if fnmatch.fnmatchcase(name, wanted) and (os.path.islink(path) or not os.path.isdir(path)):
                os.unlink(path)
