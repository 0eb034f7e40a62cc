"""Systems that run from a squashfs without being installed, as live-boot(7) starts them.

live-boot, in the tree's initramfs, looks for live/filesystem.squashfs on all disks or fetches it, and puts a file
system in memory above it. What is written is gone when the machine ends.
"""

from dataclasses import dataclass

from stagelib import intree, kernels
from stagelib.disk.errors import ImageError

SCRIPTS = "usr/lib/live/boot"
ROOT = "filesystem.squashfs"
# The tree's /etc/fstab names file systems of disks that are not there, systemd-fstab-generator(8).
KERNEL_OPTS = "boot=live fstab=no"


@dataclass(frozen=True)
class Kernel:
    """The files, on this machine, of a kernel and its initramfs."""

    image: str
    initramfs: str


def kernel(tree: str) -> Kernel:
    """The tree's newest kernel. Raises ImageError when it has none, or no live-boot in it."""
    if not intree.exists(tree, SCRIPTS):
        raise ImageError("the tree has no live-boot, which starts such a system", "install the package live-boot")
    for version in kernels.versions(tree):
        if intree.exists(tree, f"boot/initrd.img-{version}"):
            return Kernel(
                intree.resolve(tree, f"boot/vmlinuz-{version}"), intree.resolve(tree, f"boot/initrd.img-{version}")
            )
    raise ImageError("the tree has no kernel with an initramfs in /boot", "install a package like linux-image-amd64")
