"""The sandbox inside the stage's sandbox in which dnf and rpm work.

dnf and rpm read what the tree's code has written, and follow the tree's links as if they were the host's. Before they
install anything they may use the network; rpm then runs package scripts in a chroot to the tree, or in its own process.
So that these can change only the tree, even outside of the chroot, there is no network then, no privilege over the
kernel, and nothing else to write to but dnf's cache. The tree's /dev, /proc and /sys are mounts that exist in this
sandbox only: without them scripts fail silently and leave a regular file at /dev/null; /sys is empty, so that the image
does not depend on the build machine's hardware.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stagelib import beside, chroot
from stagelib.dnf import command as programs
from stagelib.dnf.config import PrivateHome

MOUNTED = ("proc", "dev", "sys")


@dataclass(frozen=True)
class Visible:
    """Additional directories mounted at the same path, writable or read-only."""

    writable: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()


def command(
    tree: str,
    home: PrivateHome,
    visible: Visible,
    argv: Sequence[str],
    *,
    network: bool = False,
    env: Mapping[str, str] | None = None,
) -> list[str]:
    """The argument list that runs `argv` in the sandbox, where all paths are the same; `home` is read-only.

    network: for programs that download, and run no script. env: variables on top of dnf's. Raises StageError when one
    of the tree's mount points is a symlink, which mounting would follow.
    """
    chroot.require_mount_points(tree, MOUNTED)
    # kernel-install falls back to /proc/cmdline for the kernel's options.
    options = [
        "--proc",
        f"{tree}/proc",
        "--dev",
        f"{tree}/dev",
        "--tmpfs",
        f"{tree}/sys",
        "--remount-ro",
        f"{tree}/sys",
    ]
    options += [*chroot.protected(f"{tree}/proc"), "--ro-bind", home.cmdline, f"{tree}/proc/cmdline"]
    return beside.command(
        tree,
        argv,
        env=programs.environment(home, env),
        writable=visible.writable,
        read_only=(home.path, *visible.read_only),
        network=network,
        options=options if not network else (),
    )
