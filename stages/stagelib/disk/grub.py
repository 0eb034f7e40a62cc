"""GRUB for BIOS, installed into the gap between the MBR and the first partition, as grub-bios-setup does it.

Offsets are those of grub-core/boot/i386/pc/boot.S and diskboot.S, the same in GRUB 2.00 to 2.12.
"""

import filecmp
import os
import shutil
import struct
from dataclasses import dataclass

from stagelib import intree
from stagelib.disk import tools
from stagelib.disk.errors import ImageError
from stagelib.disk.partition import SECTOR

MODULES = "usr/lib/grub/i386-pc"
BOOT_CODE = 440  # bytes before the disk identifier and the partition table in an MBR
KERNEL_SECTOR = 0x5C  # in boot.img: where the core image starts, 64 bits
DRIVE_CHECK = 0x66  # in boot.img: a jump around the work-around for BIOSes that give a wrong drive number
CORE_SECTOR = 1
BLOCKLIST = 500  # in the core image's first sector: where its rest starts, 64 bits

# The first three find /boot; the rest lets a system start whose /boot/grub has a grub.cfg and no modules.
NEEDED = ("biosdisk", "part_msdos", "ext2")
USEFUL = (
    "all_video",
    "blscfg",
    "boot",
    "cat",
    "configfile",
    "echo",
    "gzio",
    "halt",
    "linux",
    "loadenv",
    "ls",
    "minicmd",
    "normal",
    "reboot",
    "regexp",
    "search",
    "search_fs_file",
    "search_fs_uuid",
    "search_label",
    "serial",
    "sleep",
    "terminal",
    "test",
    "true",
)


@dataclass(frozen=True)
class Grub:
    """What will be installed: the modules' directory and GRUB's directory on the root file system."""

    modules: str
    prefix: str


def choose(tree: str, host: str = "/") -> Grub:
    """Pick the GRUB for `tree`: its own, or the one of `host` (the build root).

    A GRUB loads modules of its own version only, so where /boot/grub already has modules, a directory with the same
    ones is taken. Raises ImageError, naming the packages to install, when there is no GRUB at all.
    """
    boot = "boot/grub2" if intree.exists(tree, "boot/grub2") else "boot/grub"
    found = []
    for root in (tree, host):
        modules = intree.resolve(root, MODULES)
        if os.path.isfile(os.path.join(modules, "boot.img")):
            found.append(modules)
    if not found:
        raise ImageError(
            "there is no GRUB for BIOS to install: neither the tree nor the build root has /usr/lib/grub/i386-pc",
            "install the package grub-pc-bin (Debian, Ubuntu) or grub2-pc-modules (Fedora, CentOS) in either",
        )
    installed = intree.resolve(tree, f"{boot}/i386-pc/normal.mod")
    same = [one for one in found if _same(os.path.join(one, "normal.mod"), installed)]
    return Grub((same or found)[0], f"(,msdos1)/{boot}")


def _same(one: str, other: str) -> bool:
    return os.path.isfile(one) and os.path.isfile(other) and filecmp.cmp(one, other, shallow=False)


def core_image(grub: Grub, work: str) -> bytes:
    """Make GRUB's core image, with all that is needed to reach `grub.prefix`; files go to the directory `work`."""
    have = set(os.listdir(grub.modules))
    core = os.path.join(work, "core.img")
    argv = [_mkimage(), "--directory", grub.modules, "--prefix", grub.prefix, "--format", "i386-pc"]
    argv += ["--compression", "auto", "--output", core, *NEEDED]
    tools.run(argv + [name for name in USEFUL if f"{name}.mod" in have])
    with open(core, "rb") as file:  # noqa: PTH123
        return file.read()


def _mkimage() -> str:
    """The program's name: Fedora's is grub2-mkimage."""
    for name in ("grub-mkimage", "grub2-mkimage"):
        if shutil.which(name):
            return name
    raise tools.missing("grub-mkimage")


def install(image: str, grub: Grub, core: bytes, gap: int) -> None:
    """Write boot code and `core` into the file `image`, whose partition table stays.

    gap is the first partition's offset in bytes. Raises ImageError when the core image does not fit in front of it.
    """
    if CORE_SECTOR * SECTOR + len(core) > gap:
        raise ImageError(f"GRUB's core image has {len(core)} bytes, only {gap - SECTOR} are before the partition")
    with open(os.path.join(grub.modules, "boot.img"), "rb") as file:  # noqa: PTH123
        boot = bytearray(file.read(BOOT_CODE))
    struct.pack_into("<Q", boot, KERNEL_SECTOR, CORE_SECTOR)
    boot[DRIVE_CHECK : DRIVE_CHECK + 2] = b"\x90\x90"
    patched = bytearray(core)
    struct.pack_into("<Q", patched, BLOCKLIST, CORE_SECTOR + 1)
    with open(image, "r+b") as file:  # noqa: PTH123
        file.write(boot)
        file.seek(CORE_SECTOR * SECTOR)
        file.write(patched)
