"""Systems that run from a squashfs without being installed.

What finds the squashfs, or fetches it, is in the tree's initramfs: live-boot(7), or dracut's module dmsquash-live,
dracut.cmdline(7). Both put a file system in memory above it. What is written is gone when the machine ends.
"""

import re
from dataclasses import dataclass

from stagelib import kernels, tree_paths
from stagelib.errors import StageError

SCRIPTS = "usr/lib/live/boot"  # live-boot's
MODULES = "usr/lib/dracut/modules.d"
DISC_MODULE, NETWORK_MODULE = re.compile(r"[0-9]+dmsquash-live"), re.compile(r"[0-9]+livenet")
INITRAMFS = ("boot/initrd.img-{}", "boot/initramfs-{}.img")  # Debian's name, and everybody else's


@dataclass(frozen=True)
class Starter:
    """What starts the system, and the options of the kernel that tell it how.

    root: the squashfs on a disc; disc: with the disc's label for {}; network: with the squashfs' address for {}.
    """

    root: str
    disc: str
    network: str


# The tree's /etc/fstab names file systems of disks that are not there, systemd-fstab-generator(8).
LIVE_BOOT = Starter(
    "live/filesystem.squashfs", disc="boot=live fstab=no", network="boot=live fstab=no fetch={} ip=dhcp"
)
# Without overlayfs it would look for the image of a file system inside of the squashfs.
_DRACUT = "root=live:{} rd.live.image rd.live.overlay.overlayfs=1 fstab=no"
DRACUT = Starter("LiveOS/squashfs.img", disc=_DRACUT.format("CDLABEL={}"), network=f"{_DRACUT} ip=dhcp")


@dataclass(frozen=True)
class Kernel:
    """The files, on this machine, of a kernel and its initramfs."""

    image: str
    initramfs: str


def starter(tree: str, *, network: bool = False) -> Starter:
    """What the tree has to start as a live system, over a network or from a disc. Raises StageError without any."""
    if tree_paths.exists(tree, SCRIPTS):
        return LIVE_BOOT
    wanted = NETWORK_MODULE if network else DISC_MODULE
    if any(wanted.fullmatch(name) for name in tree_paths.names(tree, MODULES)):
        return DRACUT
    raise StageError(
        "the tree has nothing that starts such a system: neither live-boot nor dracut's module "
        + ("livenet" if network else "dmsquash-live"),
        "install the package live-boot (Debian, Ubuntu) or dracut-live (Fedora, CentOS)",
    )


def kernel(tree: str) -> Kernel:
    """The tree's newest kernel that has an initramfs. Raises StageError when there is none."""
    for version in kernels.versions(tree):
        for name in INITRAMFS:
            if tree_paths.exists(tree, name.format(version)):
                image = tree_paths.resolve(tree, f"boot/vmlinuz-{version}")
                return Kernel(image, tree_paths.resolve(tree, name.format(version)))
    raise StageError(
        "the tree has no kernel with an initramfs in /boot",
        "install a package like linux-image-amd64 (Debian) or kernel-core (Fedora)",
    )
