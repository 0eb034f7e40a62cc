"""Systems that run from a squashfs without being installed.

The tree's initramfs finds or downloads the squashfs: live-boot(7), or dracut's module dmsquash-live,
dracut.cmdline(7). Both overlay it with a file system in memory, so changes are lost at shutdown.
"""

import re
from dataclasses import dataclass

from stagelib import kernels, tree_paths
from stagelib.errors import StageError

SCRIPTS = "usr/lib/live/boot"  # live-boot's
MODULES = "usr/lib/dracut/modules.d"
DISC_MODULE, NETWORK_MODULE = re.compile(r"[0-9]+dmsquash-live"), re.compile(r"[0-9]+livenet")
INITRAMFS = ("boot/initrd.img-{}", "boot/initramfs-{}.img")  # Debian's name, and that of other distributions


@dataclass(frozen=True)
class Starter:
    """The software in the initramfs that starts the system, with its kernel options.

    root: the path of the squashfs on a disc; disc: options, {} is the disc's label; network: options, {} is the URL of
    the squashfs.
    """

    root: str
    disc: str
    network: str


# The tree's /etc/fstab names file systems of absent disks, systemd-fstab-generator(8).
LIVE_BOOT = Starter(
    "live/filesystem.squashfs", disc="boot=live fstab=no", network="boot=live fstab=no fetch={} ip=dhcp"
)
# Without overlayfs it would look for a file system image inside of the squashfs.
_DRACUT = "root=live:{} rd.live.image rd.live.overlay.overlayfs=1 fstab=no"
DRACUT = Starter("LiveOS/squashfs.img", disc=_DRACUT.format("CDLABEL={}"), network=f"{_DRACUT} ip=dhcp")


@dataclass(frozen=True)
class Kernel:
    """The host paths of a kernel and its initramfs."""

    image: str
    initramfs: str


def starter(tree: str, *, network: bool = False) -> Starter:
    """The tree's software for live systems, over a network or from a disc. Raises StageError if there is none."""
    if tree_paths.exists(tree, SCRIPTS):
        return LIVE_BOOT
    wanted = NETWORK_MODULE if network else DISC_MODULE
    if any(wanted.fullmatch(name) for name in tree_paths.list_names(tree, MODULES)):
        return DRACUT
    raise StageError(
        "the tree has no software for live systems: neither live-boot nor dracut's module "
        + ("livenet" if network else "dmsquash-live"),
        "install the package live-boot (Debian, Ubuntu) or dracut-live (Fedora, CentOS)",
    )


def kernel(tree: str) -> Kernel:
    """The tree's newest kernel that has an initramfs. Raises StageError when there is none."""
    for version in kernels.versions(tree):
        image = f"boot/vmlinuz-{version}"
        for name in INITRAMFS:
            initramfs = name.format(version)
            if tree_paths.is_file(tree, initramfs) and tree_paths.is_file(tree, image):
                return Kernel(tree_paths.resolve(tree, image), tree_paths.resolve(tree, initramfs))
    raise StageError(
        "the tree has no kernel with an initramfs in /boot",
        "install a package like linux-image-amd64 (Debian) or kernel-core (Fedora)",
    )
