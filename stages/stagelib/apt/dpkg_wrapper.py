"""A wrapper of the tree's dpkg for apt: `python3 -m stagelib.apt.dpkg_wrapper SETTINGS DPKG-ARGUMENT...`."""

import json
import os
import sys
from collections.abc import Sequence

from stagelib import chroot
from stagelib.apt import dpkg

DATABASE = "--admindir"


def main(settings: str, arguments: list[str]) -> None:
    """Execute the tree's dpkg. settings: JSON with tree, work and, in `archives`, the directories of the archives."""
    paths = json.loads(settings)
    # apt passes the archives' paths on the host, so they are mounted at the same paths inside.
    same = [chroot.Bind(path, path) for path in paths["archives"]]
    binds = [*same, *dpkg.binds(paths["tree"], paths["work"], configuring="--configure" in arguments)]
    argv = dpkg.command(paths["tree"], ["dpkg", *own_database(arguments)], binds)
    os.execvp(argv[0], argv)  # noqa: S606


def own_database(arguments: Sequence[str]) -> list[str]:
    """dpkg's arguments without --admindir, so that it uses its default database.

    apt 3 passes the directory of the status file that it reads itself (apt 2 did not). That is a path on the host,
    which does not exist inside, and dpkg would create an empty database there.
    """
    kept = []
    words = iter(arguments)
    for word in words:
        if word == DATABASE:
            next(words, None)
        elif not word.startswith(f"{DATABASE}="):
            kept.append(word)
    return kept


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
