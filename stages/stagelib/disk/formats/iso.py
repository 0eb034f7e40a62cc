"""A live system on optical media or a USB stick: an ISO 9660 image that boots with BIOS and UEFI from both.

xorriso lays it out as grub-mkrescue(1) does: El Torito entries for both, GRUB's hybrid boot code in the MBR, the EFI
system partition appended.
"""

import os
import shutil
from collections.abc import Mapping
from typing import Any

from stagelib import distro, grub_config, tree_paths
from stagelib.disk import bios_grub, output, tools
from stagelib.disk.filesystems import fat
from stagelib.disk.filesystems.fs_spec import FsSpec
from stagelib.disk.formats import file_systems, live
from stagelib.disk.formats.run import Run
from stagelib.disk.layout import FileSystem
from stagelib.disk.planner import Place
from stagelib.disk.sizes import MIB
from stagelib.disk.tree_parts import TreePart
from stagelib.errors import StageError

ESP = "boot/efi/EFI"  # where the boot loader's stage installs the programs for UEFI
FIRST = "BOOT/BOOTX64.EFI"
FALLBACK = "fbx64.efi"  # shim starts it if it exists
BESIDE_SHIM = ("grubx64.efi", "mmx64.efi")  # what shim starts otherwise
HYBRID = "boot_hybrid.img"  # among GRUB's modules: boot code that finds an El Torito image on a disk
MODULES = ("biosdisk", "iso9660", "part_gpt", "part_msdos", "search_fs_file")
# GRUB for UEFI is on another file system than its configuration.
FIND = "search --no-floppy --file --set=root /live/vmlinuz\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n"


def make(run: Run, options: Mapping[str, Any], path: str) -> None:
    """Make the image. Options: label (of the volume), kernel_opts."""
    starter, chosen = live.starter(run.tree), live.kernel(run.tree)
    modules = _modules(run.tree)
    with output.scratch_in(os.path.dirname(path)) as work:
        top = os.path.join(work, "top")
        for name in ("live", "boot/grub", os.path.dirname(starter.root)):
            os.makedirs(os.path.join(top, name), exist_ok=True)
        shutil.copyfile(chosen.image, os.path.join(top, "live/vmlinuz"))
        shutil.copyfile(chosen.initramfs, os.path.join(top, "live/initrd.img"))
        os.link(file_systems.squashed(run), os.path.join(top, starter.root))
        title = distro.os_release(run.tree).get("PRETTY_NAME", "Linux")
        with open(os.path.join(top, "boot/grub/grub.cfg"), "w", encoding="utf-8") as file:
            own = starter.disc.format(options["label"])
            file.write(menu(title, " ".join(filter(None, (own, options.get("kernel_opts"))))))
        _bios(modules, os.path.join(top, "boot/grub/eltorito.img"))
        esp = _esp(run, work, top)
        _settle(top, run.epoch)
        argv = ["xorriso", "-as", "mkisofs", "-quiet", "-o", path, "-V", options["label"], "-r", "-J", "-joliet-long"]
        argv += ["-b", "boot/grub/eltorito.img", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"]
        argv += ["--grub2-boot-info", "--grub2-mbr", os.path.join(modules, HYBRID)]
        if esp:
            argv += ["-append_partition", "2", "0xef", esp, "-eltorito-alt-boot"]
            argv += ["-e", "--interval:appended_partition_2:all::", "-no-emul-boot"]
        tools.run([*argv, top], env={"TZ": "UTC"})  # it takes times and identifiers from SOURCE_DATE_EPOCH


def menu(title: str, kernel_opts: str) -> str:
    """The text of grub.cfg; kernel_opts are all of the kernel's options."""
    lines = ["insmod all_video"]
    if serial := grub_config.kernels_console(kernel_opts):
        lines += serial.lines
    lines += ["set timeout=1", "set default=0", f"menuentry {grub_config.quoted(title)} {{"]
    lines += [f"  linux /live/vmlinuz {kernel_opts}"]
    return "\n".join([*lines, "  initrd /live/initrd.img", "}", ""])


def _modules(tree: str) -> str:
    for root in (tree, "/"):
        modules = bios_grub.directory(root)
        if modules and os.path.isfile(os.path.join(modules, HYBRID)):
            return modules
    raise StageError(
        "there is no GRUB for BIOS: neither the tree nor the build root has /usr/lib/grub/i386-pc",
        "install the package grub-pc-bin (Debian, Ubuntu) or grub2-pc-modules (Fedora, CentOS) in either",
    )


def _bios(modules: str, path: str) -> None:
    have = set(os.listdir(modules))
    argv = [bios_grub.mkimage(), "--directory", modules, "--prefix", "/boot/grub", "--format", "i386-pc-eltorito"]
    argv += ["--compression", "auto", "--output", path]
    tools.run([*argv, *(name for name in (*MODULES, *bios_grub.USEFUL) if f"{name}.mod" in have)])


def _esp(run: Run, work: str, top: str) -> str | None:
    """An EFI system partition with the tree's boot loader, which finds the rest; None if the tree has none.

    A GRUB started from the El Torito image may look for its configuration on the whole disc, so `top`, the disc's
    content, gets it, too.
    """
    source = tree_paths.resolve(run.tree, ESP)
    if not tree_paths.is_file(run.tree, f"{ESP}/{FIRST}"):
        return None
    fat.entries(source, "EFI")  # refuses symlinks, which could lead out of the tree, and what cannot be copied
    content = os.path.join(work, "esp")
    shutil.copytree(source, os.path.join(content, "EFI"), symlinks=True)
    _without_fallback(os.path.join(content, "EFI"))
    of_grub = [path for path, _, names in os.walk(content) if any(name.startswith("grub") for name in names)]
    if not of_grub:
        raise StageError(
            f"a disc boots with GRUB, and /{ESP} has another boot loader, which would find no kernel",
            "use GRUB (bootloader: grub), or make the disc in a separate build",
        )
    for directory in of_grub:
        for place in (content, top):
            target = os.path.join(place, os.path.relpath(directory, content))
            os.makedirs(target, exist_ok=True)
            with open(os.path.join(target, "grub.cfg"), "w", encoding="utf-8") as file:
                file.write(FIND)
    spec = FsSpec(
        FileSystem("vfat", run.identity, mountpoint="/"), content, {"/": TreePart(content, "/")}, work, run.epoch
    )
    path = os.path.join(work, "esp.img")
    size = -(-fat.need(spec, 0) // MIB) * MIB
    with open(path, "wb") as file:
        file.truncate(size)
    _settle(content, run.epoch)
    fat.make(spec, path, Place(0, size))
    return path


def _without_fallback(efi: str) -> None:
    """Make shim start GRUB and not fbx64.efi, which would add boot entries to the machine permanently."""
    removable = os.path.join(efi, "BOOT")
    if not os.path.exists(os.path.join(removable, FALLBACK)):
        return
    os.unlink(os.path.join(removable, FALLBACK))
    for directory in sorted(os.listdir(efi)):
        for name in BESIDE_SHIM:
            path, target = os.path.join(efi, directory, name), os.path.join(removable, name)
            if os.path.isfile(path) and not os.path.exists(target):
                shutil.copyfile(path, target)


def _settle(top: str, epoch: int) -> None:
    """Set the times of everything in the directory."""
    for path, directories, files in os.walk(top):
        for name in (*directories, *files, "."):
            os.utime(os.path.join(path, name), (epoch, epoch))
