"""The tree's dpkg as a program for apt: `python3 -m stagelib.apt.treedpkg SETTINGS DPKG-ARGUMENT...`."""

import json
import os
import sys

from stagelib import chroot
from stagelib.apt import dpkg


def main(settings: str, arguments: list[str]) -> None:
    """Become the tree's dpkg. settings: JSON with tree, work, home (apt's files) and cache (the archives)."""
    paths = json.loads(settings)
    # apt names archives by where they are here, so they are shown at the same place inside.
    same = [chroot.Bind(paths[name], paths[name]) for name in ("home", "cache")]
    binds = [*same, *dpkg.binds(paths["tree"], paths["work"], configuring="--configure" in arguments)]
    command = chroot.command(paths["tree"], ["dpkg", *arguments], env=dpkg.ENVIRONMENT, binds=binds)
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
