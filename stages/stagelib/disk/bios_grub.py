"""GRUB for BIOS, installed as grub-bios-setup does it: behind the MBR, or into a GPT's BIOS boot partition.

Offsets are those of grub-core/boot/i386/pc/boot.S and diskboot.S, the same in GRUB 2.00 to 2.12.
"""

import filecmp
import os
import shutil
import struct
from dataclasses import dataclass

from stagelib import tree_paths
from stagelib.disk import layout, tools, types
from stagelib.disk.planner import Plan
from stagelib.errors import StageError

SECTOR = 512
MODULES = "usr/lib/grub/i386-pc"
BOOT_CODE = 440  # bytes before the disk identifier and the partition table in an MBR
KERNEL_SECTOR = 0x5C  # in boot.img: where the core image starts, 64 bits
DRIVE_CHECK = 0x66  # in boot.img: a jump around the work-around for BIOSes that give a wrong drive number
CORE_SECTOR = 1
BLOCKLIST = 500  # in the core image's first sector: where its rest starts, 64 bits

# These and the file system's module find /boot; the useful ones let a system boot whose /boot/grub has no modules.
NEEDED = ("biosdisk",)
GRUB_READS = {"ext4": "ext2", "xfs": "xfs", "btrfs": "btrfs", "vfat": "fat", "squashfs": "squash4"}
TABLES = {"dos": "part_msdos", "gpt": "part_gpt"}
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
    """The GRUB to install: its modules' directory, the core image's prefix, and the modules that it needs."""

    modules: str
    prefix: str
    needed: tuple[str, ...]


@dataclass(frozen=True)
class Spot:
    """The place of the core image, in bytes; room is its size."""

    start: int
    room: int


def choose(tree: str, disk: layout.Disk, host: str = "/") -> Grub:
    """Pick the GRUB for `tree`: its own, or the one of `host` (the build root).

    A GRUB loads only modules of its own version, so if /boot/grub already has modules, a directory with the same ones
    is used. Raises StageError, naming the packages to install, when there is no GRUB, or it cannot read the file system
    with /boot.
    """
    boot = "boot/grub2" if tree_paths.exists(tree, "boot/grub2") else "boot/grub"
    found = []
    for root in (tree, host):
        modules = directory(root)
        if modules and os.path.isfile(os.path.join(modules, "boot.img")):
            found.append(modules)
    if not found:
        raise StageError(
            "there is no GRUB for BIOS to install: neither the tree nor the build root has /usr/lib/grub/i386-pc",
            "install the package grub-pc-bin (Debian, Ubuntu) or grub2-pc-modules (Fedora, CentOS) in either",
        )
    installed = tree_paths.resolve(tree, f"{boot}/i386-pc/normal.mod")
    same = [one for one in found if _same(os.path.join(one, "normal.mod"), installed)]
    prefix, file_system = _prefix(disk, boot)
    return Grub((same or found)[0], prefix, (*NEEDED, TABLES[disk.table], file_system))


def directory(root: str) -> str:
    """The path of the modules of the GRUB in `root`; "" when it has none.

    Raises StageError for anything but regular files among them: programs would follow a symlink out of a tree.
    """
    if not tree_paths.is_dir(root, MODULES):
        return ""
    path = tree_paths.resolve(root, MODULES)
    with os.scandir(path) as entries:
        odd = sorted(entry.name for entry in entries if not entry.is_file(follow_symlinks=False))
    if odd:
        raise StageError(f"/{MODULES}/{odd[0]} is not a regular file", "reinstall the package with GRUB's modules")
    return path


def _prefix(disk: layout.Disk, boot: str) -> tuple[str, str]:
    """GRUB's name of the directory `boot` of the tree, and the module that reads its file system."""
    number = disk.holding(f"/{boot}")
    file_system = disk.partitions[number].file_system if number is not None else None
    if number is None or file_system is None:
        raise StageError("there is no file system with /boot for GRUB to read", 'add one, or use bootloader "none"')
    module = GRUB_READS.get(file_system.type)
    if module is None:
        raise StageError(
            f"GRUB cannot read /boot from {file_system.type}",
            f"put /boot on {', '.join(GRUB_READS)}, or make it a partition",
        )
    points = {volume.mountpoint: f"/{volume.name.strip('/')}" for volume in file_system.subvolumes}
    if file_system.mountpoint:
        points[file_system.mountpoint] = ""
    point = max((one for one in points if layout.within(f"/{boot}", one)), key=len)
    inside = points[point] + "/" + os.path.relpath(f"/{boot}", point)
    return f"(,{'gpt' if disk.table == 'gpt' else 'msdos'}{number + 1}){inside}", module


def _same(one: str, other: str) -> bool:
    return os.path.isfile(one) and os.path.isfile(other) and filecmp.cmp(one, other, shallow=False)


def core_image(grub: Grub, work: str) -> bytes:
    """Make GRUB's core image with all modules that it needs to read `grub.prefix`; work: a scratch directory."""
    have = set(os.listdir(grub.modules))
    core = os.path.join(work, "core.img")
    argv = [mkimage(), "--directory", grub.modules, "--prefix", grub.prefix, "--format", "i386-pc"]
    argv += ["--compression", "auto", "--output", core, *grub.needed]
    tools.run(argv + [name for name in USEFUL if f"{name}.mod" in have])
    with open(core, "rb") as file:
        return file.read()


def mkimage() -> str:
    """The program's name: Fedora's is grub2-mkimage."""
    for name in ("grub-mkimage", "grub2-mkimage"):
        if shutil.which(name):
            return name
    raise tools.missing("grub-mkimage")


def spot(disk: layout.Disk, plan: Plan) -> Spot:
    """The place of the core image. Raises StageError when the disk has none."""
    if disk.sector != SECTOR:
        raise StageError(
            f"GRUB for BIOS cannot start from a disk with sectors of {disk.sector} bytes", "boot with UEFI only"
        )
    if disk.table == "dos":
        start = CORE_SECTOR * SECTOR
        return Spot(start, min(place.start for place in plan.places) - start)
    for item, place in zip(disk.partitions, plan.places, strict=True):
        if layout.gpt_type(item.type) == types.GUIDS["bios-boot"]:
            return Spot(place.start, place.size)
    raise StageError(
        "GRUB for BIOS needs a BIOS boot partition on a GPT", "add a partition of the type bios-boot of 1 MiB"
    )


def install(image: str, grub: Grub, core: bytes, where: Spot) -> None:
    """Write boot code and `core` into the file `image`, keeping its partition table.

    Raises StageError when the core image does not fit.
    """
    if len(core) > where.room:
        raise StageError(f"GRUB's core image has {len(core)} bytes, only {where.room} are available")
    sector = where.start // SECTOR
    with open(os.path.join(grub.modules, "boot.img"), "rb") as file:
        boot = bytearray(file.read(BOOT_CODE))
    struct.pack_into("<Q", boot, KERNEL_SECTOR, sector)
    boot[DRIVE_CHECK : DRIVE_CHECK + 2] = b"\x90\x90"
    patched = bytearray(core)
    struct.pack_into("<Q", patched, BLOCKLIST, sector + 1)
    with open(image, "r+b") as file:
        file.write(boot)
        file.seek(where.start)
        file.write(patched)
