"""What must hold of a blueprint's disk and formats beyond its schema, as far as it can be known before building."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from osbuild_compose.blueprint import formats, luks_checks, lvm_checks, partition_types, size
from osbuild_compose.blueprint.beside import Beside
from osbuild_compose.document.read import Trail

Problem = tuple[Trail, str, str]  # where, what, and what to do
MIB = 1024 * 1024
DOS_PARTITIONS = 4
SECTORS = (512, 4096)
SWAP = ("swap", "82", "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f")
COMPRESSIONS: Mapping[str, tuple[str, ...]] = {
    kind: formats.OPTIONS[kind]["compression"] for kind in (formats.Format.SQUASHFS, formats.Format.EROFS)
}
READ_ONLY = ("squashfs", "erofs", "ext4")  # what dm-verity can be below of
LOADERS = {"grub": "GRUB", "systemd-boot": "systemd-boot", "uki": "a unified kernel image"}
LABELS = {"ext4": 16, "xfs": 12, "vfat": 11, "swap": 15, "btrfs": 16}


def problems(data: Any, beside: Beside) -> Iterator[Problem]:
    """All that is wrong with `disk` and `formats`; skips what the schema refuses."""
    if not isinstance(data, dict):
        return
    yield from _formats(data.get("formats"), data.get("disk"))
    disk = data.get("disk")
    if not isinstance(disk, dict):
        return
    yield from _no_disk(disk, data.get("formats"))
    found = list(_sizes(disk))
    yield from found
    items = disk.get("partitions", [])
    partitions = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    if not isinstance(items, list) or len(partitions) != len(items):
        return
    yield from _table(disk, partitions)
    yield from partition_types.problems(disk, partitions)
    yield from _mounts(partitions)
    yield from _protected(disk, partitions)
    for index, item in enumerate(partitions):
        yield from ((("disk", "partitions", index, *trail), what, hint) for trail, what, hint in _partition(item))
    yield from lvm_checks.problems(disk, partitions)
    yield from luks_checks.problems(disk, partitions, beside)
    inner = []
    for index, item in enumerate(partitions):
        for number, volume in enumerate(lvm_checks.volumes(item)):
            place = ("disk", "partitions", index, "logical_volumes", number)
            yield from (((*place, *trail), what, hint) for trail, what, hint in _partition(volume))
            inner.append(volume)
    sizes = [item[key] for item in (disk, *partitions, *inner) for key in ("size", "minimum", "start") if key in item]
    if not found and all(isinstance(value, int | str) for value in sizes):
        yield from _room(disk, partitions)


def _formats(wanted: Any, disk: Any) -> Iterator[Problem]:
    seen = set()
    given = disk.get("size") if isinstance(disk, dict) else None
    for index, item in enumerate(wanted if isinstance(wanted, list) else []):
        name = item.get("format") if isinstance(item, dict) else item
        if not isinstance(name, str):
            continue
        if name in seen and isinstance(item, dict):
            yield ("formats", index), f"`formats` has {name} twice", ""
        seen.add(name)
        if isinstance(item, dict):
            for trail, what, hint in _options(name, item):
                yield ("formats", index, *trail), what, hint
        if name in formats.SECTORS_OF_512 and isinstance(disk, dict) and disk.get("sector_size") == 4096:
            what = f"machines see a {name} as a disk of 512-byte sectors, and would not find this one's partitions"
            yield ("disk", "sector_size"), what, "leave it out, or make raw or qcow2"
        multiple = formats.MULTIPLES.get(name)
        if multiple and isinstance(given, int | str) and not isinstance(given, bool):
            yield from _multiple(name, multiple, given)


def _no_disk(disk: Mapping[str, Any], wanted: Any) -> Iterator[Problem]:
    """Keys that say how a disk is, where no image is one."""
    names = [item.get("format") if isinstance(item, dict) else item for item in wanted or ()]
    known = [formats.Format(name) for name in names if name in list(formats.Format)]
    if not known or len(known) != len(names) or any(item.is_disk for item in known):
        return
    for key in ("size", "free", "sector_size"):
        if key in disk:
            yield ("disk", key), f"`{key}`: none of `formats` is a disk", "add one that is, such as qcow2, or remove it"


def _options(name: str, item: Mapping[str, Any]) -> Iterator[Problem]:
    """What this format has not, and values that it does not know."""
    known = formats.OPTIONS.get(name, {})
    for key, value in item.items():
        if key == "format":
            continue
        if key not in known:
            having = ", ".join(str(other) for other, keys in formats.OPTIONS.items() if key in keys)
            if having:
                yield (key,), f"{name} has no `{key}`", f"only {having} {'have' if ',' in having else 'has'} it"
        elif known[key] and isinstance(value, str) and value not in known[key]:
            yield (key,), f"{name} cannot have `{key}` {value}; it has: {', '.join(known[key])}", ""
        elif key == "label" and isinstance(value, str) and len(value) > LABELS.get(name, len(value)):
            yield (key,), f"a label of {name} has {LABELS[name]} characters at most", ""
        elif key == "free" and "size" in item:
            yield (key,), "a file system with a `size` cannot have `free`, too", "leave one of them out"
        elif key in ("size", "free", "memory") and isinstance(value, int | str) and not isinstance(value, bool):
            yield from _amount(key, value)


def _amount(key: str, value: int | str) -> Iterator[Problem]:
    try:
        found = size.to_bytes(value)
    except ValueError as error:
        yield (key,), f"`{key}`: {error}", ""
        return
    unit = MIB if key == "memory" else 4096
    if found % unit:
        yield (
            (key,),
            f"`{key}`: {found} bytes is not a multiple of {unit}",
            f"the next one is {-(-found // unit) * unit}",
        )


def _multiple(name: str, multiple: int, given: int | str) -> Iterator[Problem]:
    try:
        found = size.to_bytes(given)
    except ValueError:
        return
    if found % multiple:
        what = f"{name} takes disks of whole {'GiB' if multiple > MIB else 'MiB'}, and {found} bytes is none"
        yield ("disk", "size"), what, f"write {-(-found // multiple) * multiple // MIB} MiB, or leave `size` out"


def _sizes(disk: Mapping[str, Any]) -> Iterator[Problem]:
    places: list[tuple[Trail, Any]] = [(("size",), disk.get("size")), (("free",), disk.get("free"))]
    for index, item in enumerate(disk["partitions"] if isinstance(disk.get("partitions"), list) else []):
        if isinstance(item, dict):
            places += [(("partitions", index, key), item.get(key)) for key in ("size", "minimum", "start")]
            for number, volume in enumerate(lvm_checks.volumes(item)):
                place = ("partitions", index, "logical_volumes", number)
                places += [((*place, key), volume.get(key)) for key in ("size", "minimum")]
    for trail, value in places:
        if not isinstance(value, int | str) or isinstance(value, bool):
            continue
        try:
            found = size.parse(value) if trail == ("size",) else size.to_bytes(value)
        except ValueError as error:
            yield ("disk", *trail), f"`{trail[-1]}`: {error}", ""
            continue
        sector = disk.get("sector_size", SECTORS[0])
        if sector in SECTORS and found % sector:
            yield ("disk", *trail), f"`{trail[-1]}`: {found} bytes is not a multiple of a sector's {sector}", ""


def _table(disk: Mapping[str, Any], partitions: list[dict[str, Any]]) -> Iterator[Problem]:
    firmware = disk.get("firmware", [])
    is_dos = disk.get("table") == "dos"
    bios = isinstance(firmware, list) and "bios" in firmware
    if disk.get("sector_size") == SECTORS[1] and (bios or is_dos) and disk.get("bootloader") != "none":
        what = "BIOS cannot boot from sectors of 4096 bytes"
        yield ("disk", "sector_size"), what, "leave `bios` out of `firmware`, with a GPT"
    yield from _uefi_only(disk, partitions)
    if not is_dos:
        return
    roots = any("/" in _points(item) for item in partitions)
    count = len(partitions) + (not roots)
    if count > DOS_PARTITIONS:
        what = f"a DOS partition table has {DOS_PARTITIONS} partitions at most, not {count}"
        yield ("disk", "partitions"), what, "leave `table` out: a GPT has room for 128"
    for index, item in enumerate(partitions):
        if item.get("verity") is True:
            what = "a DOS partition table has no partitions of hashes"
            yield ("disk", "partitions", index, "verity"), what, "leave `table` out, or `verity`"
        if item.get("type") == "bios-boot":
            yield (
                ("disk", "partitions", index, "type"),
                "a DOS partition table has no BIOS boot partition",
                "leave it out",
            )


def _uefi_only(disk: Mapping[str, Any], partitions: list[dict[str, Any]]) -> Iterator[Problem]:
    """What systemd-boot and unified kernel images cannot do."""
    loader, uki = disk.get("bootloader"), disk.get("uki") is True
    if uki and loader not in ("systemd-boot", "none"):
        what = "GRUB starts kernels and initramfs images of their own, no unified ones"
        yield (
            ("disk", "uki"),
            what,
            "add `bootloader: systemd-boot`, or `none` to have firmware start the kernel itself",
        )
        return
    if loader != "systemd-boot" and not uki:
        return
    name = "systemd-boot" if loader == "systemd-boot" else "a unified kernel image"
    if disk.get("table") == "dos":
        yield ("disk", "table"), f"{name} starts from a GPT", "leave `table` out"
    firmware = disk.get("firmware")
    if isinstance(firmware, list) and "bios" in firmware:
        yield ("disk", "firmware"), f"{name} is started by UEFI only", "leave `bios` out, or use `bootloader: grub`"
    for index, item in enumerate(partitions):
        kind = item.get("type")
        if kind == "xbootldr" and item.get("file_system") != "vfat":
            trail = ("disk", "partitions", index, "file_system" if "file_system" in item else "type")
            yield trail, f"{name} is found on vfat only", "write `file_system: vfat`, or leave `type` out"
        if kind == "esp" and "mount" not in item:
            where = ("disk", "partitions", index, "type")
            yield where, f"{name} goes to the EFI system partition, which is mounted nowhere", "add `mount: /boot/efi`"


def _points(item: Mapping[str, Any]) -> list[str]:
    volumes = item.get("subvolumes")
    inner = [volume.get("mount") for volume in volumes if isinstance(volume, dict)] if isinstance(volumes, list) else []
    inner += [volume.get("mount") for volume in lvm_checks.volumes(item)]
    return [point for point in (item.get("mount"), *inner) if isinstance(point, str)]


def _mounts(partitions: list[dict[str, Any]]) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, item in enumerate(partitions):
        for point in _points(item):
            if point in seen:
                yield ("disk", "partitions", index), f"two file systems are mounted at {point}", ""
            seen.add(point)


def _partition(item: Mapping[str, Any]) -> Iterator[Problem]:
    kind = item.get("file_system") or ("btrfs" if item.get("subvolumes") else "ext4")
    if item.get("type") in SWAP and "file_system" not in item:
        kind = "swap"
    if item.get("type") == "bios-boot" and ("mount" in item or "file_system" in item):
        yield ("type",), "a BIOS boot partition has no file system", "GRUB is in it as it is: leave `mount` out"
    if "subvolumes" in item and kind != "btrfs":
        yield ("subvolumes",), f"{kind} has no subvolumes", "only btrfs has"
    if "subvolumes" in item and "mount" in item:
        yield ("mount",), "the top of a btrfs with subvolumes is not mounted", "name the subvolume for this mount point"
    if kind == "swap" and ("mount" in item or "size" not in item):
        key = "mount" if "mount" in item else "type"
        yield (key,), "swap space has a `size` and no `mount`", "for example: {type: swap, size: 1 GiB}"
    if "compression" in item and item["compression"] not in COMPRESSIONS.get(str(kind), ()):
        known = ", ".join(COMPRESSIONS.get(str(kind), ())) or "none here"
        yield ("compression",), f"{kind} cannot have `compression` {item['compression']}; it has: {known}", ""
    if "/" in _points(item) and kind in ("vfat", "swap"):
        yield ("file_system",), f"{kind} cannot hold a system: it has no owners and modes", "use ext4, xfs or btrfs"
    label = item.get("label")
    if isinstance(label, str) and len(label) > LABELS.get(str(kind), 0):
        limit = LABELS.get(str(kind), 0)
        what = f"a label of {kind} has {limit} characters at most" if limit else f"{kind} has no label"
        yield ("label",), what, ""
    uuid = item.get("uuid")
    if isinstance(uuid, str) and (len(uuid) == len("1234-ABCD")) != (kind == "vfat" or item.get("type") == "esp"):
        yield ("uuid",), f"{uuid} does not fit {kind}", "a vfat has a number such as 1234-ABCD, all others a UUID"
    if item.get("verity") is True:
        yield from _verity(item, str(kind))
    if item.get("size") is not None and (item.get("grow") is True or "minimum" in item):
        key = "grow" if item.get("grow") is True else "minimum"
        yield (key,), f"a partition with a `size` cannot have `{key}`, too", "leave one of them out"


def _protected(disk: Mapping[str, Any], partitions: list[dict[str, Any]]) -> Iterator[Problem]:
    """What dm-verity protects, seen together."""
    names: set[str] = set()
    for index, item in enumerate(partitions):
        mount = item.get("mount")
        if item.get("verity") is not True or not isinstance(mount, str):
            continue
        name = mount.strip("/").replace("/", "-")
        if name in names:
            what = f"two partitions with `verity` would both be /dev/mapper/{name}"
            yield ("disk", "partitions", index, "mount"), what, "mount one of them somewhere else"
        names.add(name)
        loader = "uki" if disk.get("uki") is True else disk.get("bootloader", "grub")
        if mount in ("/", "/usr") and loader in LOADERS:
            what = f"{mount} cannot have `verity` with {LOADERS[loader]}: nothing tells the kernel the root hash"
            yield ("disk", "partitions", index, "verity"), what, "take bootloader: none, or protect other partitions"


def _verity(item: Mapping[str, Any], kind: str) -> Iterator[Problem]:
    """Why dm-verity cannot protect the partition."""
    mount = item.get("mount")
    if kind not in READ_ONLY:
        what = f"{kind} cannot be protected by `verity`: it is written even when it is mounted read-only"
        yield ("verity",), what, f"use {', '.join(READ_ONLY)}"
    elif not isinstance(mount, str):
        yield ("verity",), "`verity` protects what is mounted: there is no `mount`", "say where it is mounted"
    elif mount == "/boot":
        yield ("verity",), "the boot loader reads /boot without looking at hashes", "leave `verity` out"
    elif not re.fullmatch(r"/[A-Za-z0-9._/-]*", mount):
        what = "the mount point of a partition with `verity` has letters, digits and . _ - / only"
        yield ("mount",), what, "the device below /dev/mapper is called after it"
    elif mount in ("/", "/usr") and "partition_uuid" in item:
        yield ("partition_uuid",), f"the UUID of a {mount} with `verity` follows from its root hash", "leave it out"
    if item.get("grow") is True:
        yield ("grow",), "what `verity` protects has one size for ever", "leave `grow` out"


def _room(disk: Mapping[str, Any], partitions: list[dict[str, Any]]) -> Iterator[Problem]:
    """Starts that overlap what is before them, and partitions that are more than the disk."""
    cursor = MIB
    for index, item in enumerate(partitions):
        length = max(size.to_bytes(item[key]) if key in item else 0 for key in ("size", "minimum"))
        least = lvm_checks.least(item)
        if "size" in item and length < least:
            what = f"the partition is too small for its logical volumes, by {-(-(least - length) // MIB)} MiB"
            hint = f"write {-(-least // MIB)} MiB or more, or leave `size` out"
            yield ("disk", "partitions", index, "size"), what, hint
        length = max(length, least)
        if "start" in item:
            start = size.to_bytes(item["start"])
            if index and start < cursor:
                what = (
                    f"it overlaps the one before it, which ends at {cursor} bytes at the earliest, by {cursor - start}"
                )
                yield ("disk", "partitions", index, "start"), what, f"write {cursor} or more, or leave `start` out"
            cursor = start
        cursor += length
    if "size" in disk and cursor > size.to_bytes(disk["size"]):
        lack = cursor - size.to_bytes(disk["size"])
        what = f"the disk is too small for its partitions, by {-(-lack // MIB)} MiB"
        yield ("disk", "size"), what, f"write {-(-cursor // MIB) + 1} MiB or more, or leave `size` out"
