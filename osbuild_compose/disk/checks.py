"""Checks of the disk layout and of the image formats that the schema cannot express."""

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

from osbuild_compose.blueprint.formats import Format, ImageKind, Output
from osbuild_compose.blueprint.local_files import LocalFiles
from osbuild_compose.blueprint.select import ANY, texts, values
from osbuild_compose.blueprint.values.size import GIB, MIB
from osbuild_compose.disk import capacity, growth, swap_files, types
from osbuild_compose.disk.model import ROOT_HASH_ARGUMENTS, SECTORS, Bootloader, Firmware, Layout, Partition, Table
from osbuild_compose.disk.parse import Parsed, parse
from osbuild_compose.disk.resolve import resolve
from osbuild_compose.disk.types import FileSystemType
from osbuild_compose.problem import Problem

FirmwareOf = Callable[[str, str], tuple[str, ...]]  # the firmware of a distribution on an architecture

OF_THE_KERNEL = ("/dev", "/proc", "/run", "/sys")  # the kernel and systemd mount their own file systems there
LINKS = ("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin")  # symbolic links to directories of /usr
VOLATILE = "systemd.volatile="
NEED_FILE_SYSTEM = ("mount", "file_system", "label", "uuid", "options", "compression", "subvolumes", "verity")
# Fields that must be unique among partitions: the key, the message, and the hint.
UNIQUE = {
    "luks": ("luks", "two encrypted partitions would both be /dev/mapper/{}", "give one of them a `name`"),
    "verity": ("mount", "two partitions with `verity` would both be /dev/mapper/{}", "change one of the mount points"),
    "volume_group": ("volume_group", "two volume groups are called {}", "a group lies on one partition; rename one"),
    "uuid": ("uuid", "two file systems have the UUID {}", "leave one of them out"),
    "partition_uuid": ("partition_uuid", "two partitions have the UUID {}", "leave one of them out"),
}
FOR_SYSTEMS = "use ext4, xfs or btrfs"
OWN_BOOT = "add a partition for /boot: {mount: /boot, size: 1 GiB}"


def examine(data: Any, files: LocalFiles, firmware: FirmwareOf) -> Parsed:
    """The disk and outputs of the blueprint `data`, valid or not, and all of their problems. Reads passphrases."""
    parsed = parse(data, files)
    text = {key: data[key] for key in ("name", "distro", "arch") if isinstance(data.get(key), str)}
    architecture = text.get("arch", "x86_64")
    found = tuple(Firmware(name) for name in firmware(text.get("distro", ""), architecture)) or tuple(Firmware)
    layout = resolve(parsed.disk, text.get("name", "unnamed"), architecture, found)
    parsed.problems += outputs_problems(parsed.outputs, layout)
    parsed.problems += layout_problems(layout)
    parsed.problems += (problem for item in layout.written for problem in capacity.too_small(item))
    if parsed.all_sizes:
        multiple = max((item.format.traits.size_multiple or 1 for item in parsed.outputs), default=1)
        parsed.problems += capacity.problems(layout, multiple)
        parsed.problems += swap_files.room(layout)
    parsed.problems += _writes_to_protected_root(data, layout)
    return parsed


def layout_problems(layout: Layout) -> Iterator[Problem]:
    """All problems of the layout except those of sizes."""
    yield from _identifiers(layout)
    if layout.disk.table is Table.DOS:
        yield from _dos_table(layout)
    yield from _bootloader(layout)
    yield from _mount_points(layout)
    yield from growth.problems(layout)
    yield from swap_files.problems(layout)
    for item in layout.written:
        yield from _volume(item)
        yield from _partition(item, layout)
        for volume in item.logical_volumes:
            yield from _volume(volume)
            yield from _unreadable_at_boot(volume, "mount", "on a logical volume", layout)


def _identifiers(layout: Layout) -> Iterator[Problem]:
    """Identifiers that are used twice."""
    volumes = [one for item in layout.written for one in (item, *item.logical_volumes)]
    found = [(item, "luks", item.luks_name) for item in layout.written if item.luks]
    found += [(item, "verity", item.verity_name) for item in layout.written if item.verity and item.mount]
    found += [(item, "volume_group", item.volume_group) for item in layout.written if item.volume_group]
    for key in ("uuid", "partition_uuid"):
        written = (item for item in volumes if key in item.written)
        found += [(item, key, value.lower()) for item in written if (value := getattr(item, key))]
    seen: set[tuple[str, str]] = set()
    for item, key, name in found:
        if (key, name) in seen:
            at, brief, hint = UNIQUE[key]
            yield Problem(item.at(at), brief.format(name), hint)
        seen.add((key, name))


def _dos_table(layout: Layout) -> Iterator[Problem]:
    """What a DOS partition table cannot have."""
    count = len(layout.partitions)
    if count > types.DOS_PARTITIONS:
        brief = f"a DOS partition table has {types.DOS_PARTITIONS} partitions at most, not {count}"
        yield Problem(("disk", "partitions"), brief, "leave `table` out: a GPT has room for 128")
    if (layout.disk.size or 0) > types.DOS_SECTORS * layout.disk.sector_size:
        yield Problem(("disk", "size"), "a DOS partition table is for disks of 2 TiB at most", "leave `table` out")
    for item in [item for item in layout.written if item.bootable and "bootable" in item.written][1:]:
        brief = "two partitions are marked as bootable"
        yield Problem(item.at("bootable"), brief, "leave one `bootable` out")
    for item in layout.written:
        if item.verity:
            brief = "a DOS partition table has no partitions of hashes"
            yield Problem(item.at("verity"), brief, "leave `table` out, or `verity`")
        if item.type == "bios-boot":
            yield Problem(item.at("type"), "a DOS partition table has no BIOS boot partition", "leave it out")
        if "partition_uuid" in item.written:
            brief = "in a DOS table the UUID of a partition follows from the disk's UUID and its number"
            yield Problem(item.at("partition_uuid"), brief, "leave it out, or `table`")
        if "name" in item.written and not item.luks:  # the decrypted device is called after the name
            hint = "write a `label` for the file system, or leave `table` out"
            yield Problem(item.at("name"), "partitions of a DOS table have no names", hint)


def _bootloader(layout: Layout) -> Iterator[Problem]:
    """Requirements of boot loaders and firmware that the disk does not meet."""
    disk = layout.disk
    by_bios = Firmware.BIOS in disk.firmware or disk.table is Table.DOS
    if disk.sector_size == SECTORS[1] and by_bios and disk.bootloader is not Bootloader.NONE:
        brief = "BIOS cannot boot from a disk with 4096-byte sectors"
        yield Problem(("disk", "sector_size"), brief, "leave `bios` out of `firmware`, with a GPT")
    finders = {"/": "the kernel", **({"/boot": "GRUB"} if layout.has_grub else {})} if disk.boots else {}
    for item in layout.volumes:
        if item.mount in finders and item.file_system is FileSystemType.SQUASHFS and not item.verity:
            brief = f"{finders[item.mount]} finds {item.mount} by its UUID, and a squashfs has none"
            yield Problem(item.at("file_system"), brief, FOR_SYSTEMS)
    if disk.uki and layout.has_grub:
        brief = "GRUB starts separate kernel and initramfs files, not unified kernel images"
        hint = "add `bootloader: systemd-boot`, or `none` to have firmware start the kernel itself"
        yield Problem(("disk", "uki"), brief, hint)
    elif layout.has_grub:
        yield from _grub(layout)
    elif disk.boots:
        yield from _uefi_only(layout)


def _grub(layout: Layout) -> Iterator[Problem]:
    """File systems that GRUB cannot read."""
    place, _ = layout.holding("/boot")
    if place.file_system is FileSystemType.EROFS:
        brief = f"GRUB does not read erofs, and its files are in {place.mount}"
        yield Problem(place.at("file_system"), brief, FOR_SYSTEMS)
    for item in layout.written:
        if item.type == "esp" and not item.mount and not item.luks and Firmware.UEFI in layout.firmware:
            brief = "GRUB is installed on the EFI system partition, which is not mounted"
            yield Problem(item.at("type"), brief, "add `mount: /boot/efi`")


def _uefi_only(layout: Layout) -> Iterator[Problem]:
    """What prevents UEFI from starting systemd-boot or a kernel directly; BIOS can start neither."""
    disk = layout.disk
    name = "systemd-boot" if disk.bootloader is Bootloader.SYSTEMD_BOOT else "a unified kernel image"
    if disk.table is Table.DOS:
        yield Problem(("disk", "table"), f"{name} starts from a GPT", "leave `table` out")
    if Firmware.BIOS in disk.firmware:
        hint = "leave `bios` out, or use `bootloader: grub`"
        yield Problem(("disk", "firmware"), f"{name} is started by UEFI only", hint)
    for item in layout.written:
        if item.mount == "/boot/efi" and disk.fat_boot:
            brief = "the vfat at /boot has a directory EFI, and efi is the same name to it"
            yield Problem(item.at("mount"), brief, "write `mount: /efi`")
        if item.type == "xbootldr" and item.file_system is not FileSystemType.VFAT:
            hint = "write `file_system: vfat`, or leave `type` out"
            yield Problem(item.at("file_system", "type"), f"{name} is only found on vfat", hint)
        if item.type == "esp" and not item.mount:
            brief = f"{name} is installed on the EFI system partition, which is not mounted"
            yield Problem(item.at("type"), brief, "add `mount: /boot/efi`")


def _mount_points(layout: Layout) -> Iterator[Problem]:
    """Mount points that are used twice, and those with which a system cannot start."""
    seen: set[str] = set()
    for item in layout.written:
        for point in item.mounts:
            top = "/" + point.strip("/").split("/")[0]
            brief, hint = "", "leave it out"
            if point in seen:
                brief, hint = f"two file systems are mounted at {point}", ""
            elif top in OF_THE_KERNEL:
                brief = f"{point} cannot be on a disk: the system creates the contents of {top} when it starts"
            elif top in LINKS:
                brief, hint = (
                    f"{point} cannot be a mount point: {top} is a symbolic link to /usr{top}",
                    f"write /usr{point}",
                )
            elif point == "/etc":
                brief = "/etc must be on the root file system: /etc/fstab says what to mount"
            if brief:
                yield Problem(item.trail or (), brief, hint)
            seen.add(point)


def _volume(item: Partition) -> Iterator[Problem]:
    """Keys of partitions and logical volumes that exclude each other, or that need a file system."""
    kind, written = item.file_system, item.written
    if kind is None and not item.volume_group and "file_system" not in written:
        for key in ("label", "uuid", "options", "compression", "subvolumes"):
            if key in written:
                brief = f"`{key}` needs a file system"
                yield Problem(item.at(key), brief, "add `mount` or `file_system`")
    if "size" in written and (("grow" in written and item.grow) or "minimum" in written):
        key = "grow" if "grow" in written and item.grow else "minimum"
        yield Problem(item.at(key), f"`size` and `{key}` cannot be combined", "leave one of them out")
    if kind is not None:
        yield from _file_system(item, kind)


def _file_system(item: Partition, kind: FileSystemType) -> Iterator[Problem]:
    """What file systems of this type do not support."""
    written = item.written
    if "subvolumes" in written and kind is not FileSystemType.BTRFS:
        yield Problem(item.at("subvolumes"), f"{kind} has no subvolumes", "only btrfs has them")
    if {"subvolumes", "mount"} <= written:
        hint = "name the subvolume for this mount point"
        yield Problem(item.at("mount"), "the top of a btrfs with subvolumes is not mounted", hint)
    if kind is FileSystemType.SWAP and ("mount" in written or "size" not in written):
        trail = item.at("mount", "type")
        yield Problem(trail, "swap space has a `size` and no `mount`", "for example: {type: swap, size: 1 GiB}")
    known = Format(kind).traits.options.get("compression", ()) if kind.is_read_only else ()
    if item.compression and item.compression not in known:
        brief = f"{kind} cannot have `compression` {item.compression}; it has: {', '.join(known) or 'none here'}"
        yield Problem(item.at("compression"), brief)
    if "/" in item.mounts and kind in (FileSystemType.VFAT, FileSystemType.SWAP):
        yield Problem(
            item.at("file_system"), f"{kind} cannot hold a system: it stores no owners and modes", FOR_SYSTEMS
        )
    if item.type == "esp" and "file_system" in written and kind is not FileSystemType.VFAT:
        brief = f"firmware cannot read {kind}: an EFI system partition is vfat"
        yield Problem(item.at("file_system"), brief, "leave `file_system` out")
    limit = kind.traits.label_length
    if len(item.label or "") > limit:
        brief = f"a label of {kind} has {limit} characters at most" if limit else f"{kind} has no label"
        yield Problem(item.at("label"), brief)
    if "uuid" in written and (len(item.uuid or "") == len("1234-ABCD")) != (kind is FileSystemType.VFAT):
        hint = "a vfat has a number such as 1234-ABCD, all others a UUID"
        yield Problem(item.at("uuid"), f"{item.uuid} does not fit {kind}", hint)


def _partition(item: Partition, layout: Layout) -> Iterator[Problem]:
    """Problems of keys that only partitions have: types, volume groups, dm-verity, encryption."""
    if item.type == "bios-boot" and item.written & {"mount", "file_system"}:
        yield Problem(item.at("type"), "a BIOS boot partition has no file system", "leave `mount` out: GRUB is in it")
    if item.verity:
        yield from _verity(item, layout)
    if "volume_group" in item.written and not item.logical_volumes:
        hint = "list them, or give a file system instead"
        yield Problem(item.at("volume_group"), "a volume group without `logical_volumes`", hint)
    if "logical_volumes" in item.written and not item.volume_group:
        yield Problem(
            item.at("logical_volumes"), "`logical_volumes` without `volume_group`", "name the group: `volume_group`"
        )
    for key in NEED_FILE_SYSTEM:
        if item.volume_group and key in item.written:
            yield Problem(item.at(key), f"a partition with a volume group has no `{key}`", "its logical volumes have")
    for inner in ("subvolumes", "logical_volumes"):
        names = [volume.name for volume in getattr(item, inner)]
        for number, name in enumerate(names):
            if name and name in names[:number]:
                yield Problem((*item.at(inner), number, "name"), f"two {inner.replace('_', ' ')} are called {name}")
    if item.luks and item.verity:
        brief = "`luks` and `verity` cannot be combined: hashes would differ with each encryption"
        yield Problem(item.at("luks"), brief, "leave one out")
    is_empty = item.file_system is None and not item.written & {"mount", "file_system", "volume_group", "subvolumes"}
    if item.luks and is_empty and item.type not in ("bios-boot", "esp"):  # which cannot be encrypted anyway
        brief = "there is nothing to encrypt: no file system"
        yield Problem(item.at("luks"), brief, "add `mount` or `file_system`")
    if item.luks:
        yield from _unreadable_at_boot(item, "luks", "encrypted", layout)


def _verity(item: Partition, layout: Layout) -> Iterator[Problem]:
    """Why dm-verity cannot protect the partition."""
    kind = item.file_system
    if kind and not kind.traits.verity:
        able = sorted((one for one in FileSystemType if one.traits.verity), key=lambda one: not one.is_read_only)
        brief = f"{kind} cannot be protected by `verity`: it is written even when it is mounted read-only"
        yield Problem(item.at("verity"), brief, f"use {', '.join(able)}")
    elif not item.mount:
        brief = "`verity` protects what is mounted: there is no `mount`"
        yield Problem(item.at("verity"), brief, "say where it is mounted")
    elif item.mount == "/boot":
        brief = "the boot loader reads /boot without checking hashes"
        yield Problem(item.at("verity"), brief, "leave `verity` out")
    elif not re.fullmatch(r"/[A-Za-z0-9._/-]*", item.mount):
        brief = "the mount point of a partition with `verity` can have only letters, digits and . _ - /"
        yield Problem(item.at("mount"), brief, "the device below /dev/mapper is called after it")
    elif item.mount in ROOT_HASH_ARGUMENTS and "partition_uuid" in item.written:
        brief = f"the UUID of a {item.mount} with `verity` follows from its root hash"
        yield Problem(item.at("partition_uuid"), brief, "leave it out")
    if item.grow and not item.grows_at_boot:
        yield Problem(item.at("grow"), "what `verity` protects cannot grow", "leave `grow` out")
    if item.mount in ROOT_HASH_ARGUMENTS and layout.has_grub:
        brief = f"{item.mount} cannot have `verity` with GRUB: it cannot pass the root hash to the kernel"
        hint = "take `bootloader: systemd-boot`, with `uki: true` or without, or protect other partitions"
        yield Problem(item.at("verity"), brief, hint)


def _unreadable_at_boot(item: Partition, key: str, state: str, layout: Layout) -> Iterator[Problem]:
    """Files that firmware or GRUB cannot read, because `key` makes them `state` ("encrypted")."""
    has_kernels = layout.disk.bootloader is Bootloader.SYSTEMD_BOOT and item.file_system is FileSystemType.VFAT
    is_fat_boot = has_kernels and (item.type == "xbootldr" or item.mount == "/boot")
    if item.type in ("bios-boot", "esp") or (is_fat_boot and item.luks):
        brief = "firmware cannot read an encrypted partition" if item.luks else "firmware cannot read logical volumes"
        hint = "leave `luks` out" if item.luks else "make the EFI system partition a partition"
        yield Problem(item.at(key), brief, hint)
    elif layout.has_grub and any(layout.holding("/boot")[0] is one for one in item.volumes):
        yield Problem(item.at(key), f"GRUB's files cannot be {state}", OWN_BOOT)


def _writes_to_protected_root(data: Any, layout: Layout) -> Iterator[Problem]:
    """Keys that need a writable /, which dm-verity makes read-only."""
    root = next((item for item in layout.written if item.mount == "/" and item.verity), None)
    if root is None or layout.has_grub or not layout.disk.boots:
        return
    words = (word for _, text in texts(data, "kernel", "append") for word in text.split())
    volatile = [word.removeprefix(VOLATILE) for word in words if word.startswith(VOLATILE)]
    has_var = any("/var" in item.mounts for item in layout.partitions)
    for word in volatile:
        if word != "state":
            brief = f"with `verity` of /, services do not start with {VOLATILE}{word}"
            yield Problem(("kernel", "append"), brief, f"take {VOLATILE}state, which keeps /var in memory")
    if not has_var and not volatile:
        brief = "services cannot run: with `verity` of /, nothing can write to /var"
        hint = f"add a partition, {{mount: /var}}, or `kernel: {{append: {VOLATILE}state}}` for one in memory"
        yield Problem(root.at("verity"), brief, hint)
    if data.get("first_boot") and (volatile or not has_var):
        brief = "with `verity` of / and no partition for /var, the system forgets that it was booted before"
        hint = "add a partition, {mount: /var}, or run the script by a unit at every boot"
        yield Problem(("first_boot",), brief, hint)
    if isinstance(data.get("cloud_init"), dict):
        brief = "cloud-init writes to /etc, which `verity` of / makes read-only"
        yield Problem(("cloud_init",), brief, "remove the key")
    for trail, value in values(data, "users", ANY, "force_password_reset"):
        if value is True:
            yield Problem(trail, "with `verity` of /, passwords cannot be changed", "leave it out")


def outputs_problems(outputs: Collection[Output], layout: Layout) -> Iterator[Problem]:
    """Options and disks that the formats do not support."""
    for output in outputs:
        yield from _output_options(output)
        yield from _format_of_disk(output.format, layout)
    if outputs and not any(output.format.is_disk for output in outputs):
        for key in ("size", "free", "sector_size"):
            if key in layout.disk.written:
                hint = "add one that is, such as qcow2, or remove it"
                yield Problem(("disk", key), f"`{key}`: no format in `formats` is a disk", hint)


def _output_options(output: Output) -> Iterator[Problem]:
    """Problems with the options of an output that is a file system; they are those of one on a partition."""
    if output.format.traits.kind is not ImageKind.FILE_SYSTEM:
        return
    options, kind = output.options, FileSystemType(output.format)
    item = Partition(
        label=str(options.get("label", "")),
        file_system=kind,
        size=options.get("size"),
        trail=output.trail,
        written=frozenset(options) - {"uuid"},
    )
    yield from _file_system(item, kind)
    yield from capacity.too_small(item, capacity.SMALLEST_OUTPUT)
    if {"size", "free"} <= item.written:
        yield Problem(item.at("free"), "`size` and `free` cannot be combined", "leave one of them out")


def _format_of_disk(kind: Format, layout: Layout) -> Iterator[Problem]:
    """Disks that an image of this format cannot have."""
    disk = layout.disk
    if kind.traits.only_512_byte_sectors and disk.sector_size == SECTORS[1]:
        brief = f"machines see a {kind} as a disk of 512-byte sectors, and would not find this one's partitions"
        yield Problem(("disk", "sector_size"), brief, "leave it out, or make raw or qcow2")
    if kind is Format.ISO and disk.bootloader is not Bootloader.GRUB:
        brief = f"an iso is started by GRUB, which `bootloader: {disk.bootloader}` leaves out"
        yield Problem(("disk", "bootloader"), brief, "leave it out, or make the iso in a build of its own")
    if disk.size is None:
        return
    most, multiple = kind.traits.max_size, kind.traits.size_multiple
    if most and disk.size > most:
        brief = f"{kind} takes disks of {most // GIB} GiB at most, and {disk.size} bytes is more"
        yield Problem(("disk", "size"), brief, f"write {most // GIB} GiB or less, or leave {kind} out")
    if multiple and disk.size % multiple:
        brief = f"{kind} takes disks of whole {'GiB' if multiple > MIB else 'MiB'}, and {disk.size} bytes is none"
        hint = f"write {-(-disk.size // multiple) * multiple // MIB} MiB, or leave `size` out"
        yield Problem(("disk", "size"), brief, hint)
