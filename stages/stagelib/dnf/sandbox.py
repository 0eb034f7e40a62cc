"""The sandbox inside the stage's sandbox in which dnf and rpm install.

rpm runs package scripts in a chroot to the tree. So that they can change only the tree, even outside of the chroot,
there is no network, no privilege over the kernel, and nothing else to write to but their own files. The tree's /dev,
/proc and /sys are mounts that exist in this sandbox only: without them scripts fail silently and leave a regular file
at /dev/null; /sys is empty, so that the image does not depend on the build machine's hardware.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from stagelib.chroot import CAPABILITIES
from stagelib.dnf.config import PrivateHome

LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


@dataclass(frozen=True)
class Visible:
    """Additional directories mounted at the same path, writable or read-only."""

    writable: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()


def command(tree: str, home: PrivateHome, visible: Visible, argv: Sequence[str]) -> list[str]:
    """The argument list that runs `argv` in the sandbox, where all paths are the same."""
    base = ["unshare", "--net", "--", "bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent"]
    base += ["--new-session", "--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc"]
    for name in LINKS:
        if os.path.islink(f"/{name}"):
            base += ["--symlink", os.readlink(f"/{name}"), f"/{name}"]
        elif os.path.isdir(f"/{name}"):
            base += ["--ro-bind", f"/{name}", f"/{name}"]
    base += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/run", "--tmpfs", "/tmp", "--tmpfs", "/var"]  # noqa: S108
    base += ["--dir", "/var/tmp", "--dir", "/var/lib", "--dir", "/var/cache"]  # noqa: S108
    base += ["--bind", tree, tree, "--proc", f"{tree}/proc", "--dev", f"{tree}/dev", "--tmpfs", f"{tree}/sys"]
    # kernel-install falls back to this for the kernel's options.
    base += ["--ro-bind", home.cmdline, f"{tree}/proc/cmdline"]
    base += ["--remount-ro", f"{tree}/sys", "--bind", home.path, home.path]
    for path in visible.writable:
        base += ["--bind", path, path]
    for path in visible.read_only:
        base += ["--ro-bind", path, path]
    base += ["--cap-drop", "ALL"]
    for capability in CAPABILITIES:
        base += ["--cap-add", capability]
    return [*base, "--chdir", "/", "--", *argv]
