"""What boot loaders need of a disk, and firmware of boot loaders."""

from collections.abc import Iterator, Sequence

from osbuild_compose.disk.checks import items
from osbuild_compose.disk.checks.items import Item
from osbuild_compose.problem import Problem

WRITABLE = "use ext4, xfs or btrfs"


def problems(disk: Item, partitions: Sequence[Item]) -> Iterator[Problem]:
    """All that keeps the disk from booting."""
    loader, uki = disk.get("bootloader", "grub"), disk.get("uki") is True
    if disk.get("sector_size") == 4096 and (_bios(disk) or disk.get("table") == "dos") and loader != "none":
        what = "BIOS cannot boot from sectors of 4096 bytes"
        yield Problem(("sector_size",), what, "leave `bios` out of `firmware`, with a GPT")
    if loader != "none" or uki:
        yield from _found_by_uuid(loader, partitions)
    if uki and loader == "grub":
        what = "GRUB starts kernels and initramfs images of their own, no unified ones"
        hint = "add `bootloader: systemd-boot`, or `none` to have firmware start the kernel itself"
        yield Problem(("uki",), what, hint)
    elif loader == "systemd-boot":
        yield from _uefi_only("systemd-boot", disk, partitions)
    elif loader == "grub":
        yield from _grub(disk, partitions)
    elif uki:
        yield from _uefi_only("a unified kernel image", disk, partitions)


def _found_by_uuid(loader: str, partitions: Sequence[Item]) -> Iterator[Problem]:
    """File systems without UUIDs where those are asked for."""
    finders = {"/": "the kernel", **({"/boot": "GRUB"} if loader == "grub" else {})}
    for trail, item in items.holding_files(partitions):
        mount = item.get("mount")
        if mount in finders and item.get("file_system") == "squashfs" and item.get("verity") is not True:
            what = f"{finders[mount]} finds {mount} by its UUID, and a squashfs has none"
            yield Problem((*trail, "file_system"), what, WRITABLE)


def _grub(disk: Item, partitions: Sequence[Item]) -> Iterator[Problem]:
    """What GRUB does not find."""
    place = place_of_grub(partitions)
    for trail, item in items.holding_files(partitions):
        if item.get("mount") == place and item.get("file_system") == "erofs":
            yield Problem((*trail, "file_system"), f"GRUB does not read erofs, and its files are in {place}", WRITABLE)
        if items.type_of(item) == "esp" and not {"mount", "luks"} & item.keys() and _uefi(disk):
            what = "GRUB goes to the EFI system partition, which is mounted nowhere"
            yield Problem((*trail, "type"), what, "add `mount: /boot/efi`")


def place_of_grub(partitions: Sequence[Item]) -> str:
    """The mount point of the file system that GRUB's files are in."""
    return "/boot" if any("/boot" in items.points(item) for item in partitions) else "/"


def _uefi(disk: Item) -> bool:
    """Whether UEFI starts the disk: unless something else is said."""
    firmware = disk.get("firmware")
    return "uefi" in firmware if isinstance(firmware, list) else disk.get("table") != "dos"


def _bios(disk: Item) -> bool:
    firmware = disk.get("firmware")
    return isinstance(firmware, list) and "bios" in firmware


def _uefi_only(name: str, disk: Item, partitions: Sequence[Item]) -> Iterator[Problem]:
    """What keeps UEFI from starting `name`, which nothing else can start."""
    if disk.get("table") == "dos":
        yield Problem(("table",), f"{name} starts from a GPT", "leave `table` out")
    if _bios(disk):
        yield Problem(("firmware",), f"{name} is started by UEFI only", "leave `bios` out, or use `bootloader: grub`")
    kernels_in_fat = any(item.get("mount") == "/boot" and item.get("file_system") == "vfat" for item in partitions)
    for index, item in enumerate(partitions):
        kind = items.type_of(item)
        if item.get("mount") == "/boot/efi" and kernels_in_fat:
            what = "vfat at /boot has kernels in EFI, and takes efi for the same name"
            yield Problem(("partitions", index, "mount"), what, "write `mount: /efi`")
        if kind == "xbootldr" and item.get("file_system") != "vfat":
            trail = ("partitions", index, "file_system" if "file_system" in item else "type")
            yield Problem(trail, f"{name} is found on vfat only", "write `file_system: vfat`, or leave `type` out")
        if kind == "esp" and "mount" not in item:
            what = f"{name} goes to the EFI system partition, which is mounted nowhere"
            yield Problem(("partitions", index, "type"), what, "add `mount: /boot/efi`")
