"""Partitions protected by dm-verity: those with their hashes, and what the system is told of both.

Types, and where partition UUIDs come from: https://uapi-group.org/specifications/specs/discoverable_partitions_specification
"""

import hashlib
from collections.abc import Collection, Iterable
from typing import Any

from osbuild_compose.disk import device_mapper, uuids
from osbuild_compose.disk.model import Bootloader, Disk, Partition

TABLE = "/etc/veritytab"
# Where a root hash tells what to mount, it is on the kernel's command line: systemd-veritysetup-generator(8).
ON_COMMAND_LINE = {"/": "roothash", "/usr": "usrhash"}
HASH_TYPES = {"root-x86-64": "root-x86-64-verity", "usr-x86-64": "usr-x86-64-verity"}


def token(mount: str) -> str:
    """What stands for the root hash of what is mounted at `mount` until the image is made."""
    return f"@roothash:{mount}@"


def filename(name: str, mount: str) -> str:
    """The file with the root hash beside the image of the blueprint `name`, as systemd-nspawn(1) calls it."""
    return f"{name}.{ON_COMMAND_LINE.get(mount) or f'{device_mapper.of_verity(mount)}.roothash'}"


def device(mount: str) -> str:
    """The device node of what is mounted at `mount`."""
    return f"{device_mapper.DIRECTORY}/{device_mapper.of_verity(mount)}"


def arguments(mounts: Iterable[str]) -> str:
    """What the kernel is told of these of ON_COMMAND_LINE."""
    return " ".join(f"{ON_COMMAND_LINE[mount]}={token(mount)}" for mount in mounts)


def command_lines(disk: Disk, kernels: str, mounts: Collection[str]) -> list[str]:
    """The files with the kernel's command line, for root hashes of `mounts`. kernels: where their file system is."""
    if not disk.uki:
        made = [f"{kernels}/loader/entries/*.conf"]
    elif disk.bootloader is Bootloader.SYSTEMD_BOOT:
        made = [f"{kernels}/EFI/Linux/*.efi"]
    else:
        made = [f"{kernels}/EFI/BOOT/BOOT*.EFI"]
    # What a running system makes entries from. On a / with a hash it could not have that hash.
    return made if "/" in mounts else [*made, "/etc/kernel/cmdline"]


def hashes(item: Partition, number: int, name: str) -> dict[str, Any]:
    """The partition of hashes behind `item`, which is number `number` (from 1), as the assembler takes it."""
    mount = item.mount or ""
    own = {
        "type": HASH_TYPES.get(str(item.type), "linux"),
        "name": f"{item.name}-verity"[:36],
        "hashes": {
            "of": number,
            "uuid": uuids.uuid_for(name, f"{mount} verity"),
            "salt": hashlib.sha256(uuids.uuid_for(name, f"{mount} verity salt").encode()).hexdigest(),
            "filename": filename(name, mount),
        },
    }
    if mount not in ON_COMMAND_LINE:
        own["uuid"] = uuids.uuid_for(name, f"partition {own['name']} {number + 1}")
    return own


def table(partitions: list[dict[str, Any]]) -> str:
    """The text of veritytab(5) for the partitions with hashes among those of a disk."""
    lines = []
    for item in partitions:
        if "hashes" not in item or "uuid" not in item:
            continue
        data = partitions[item["hashes"]["of"] - 1]
        mount = data["filesystem"]["mountpoint"]
        lines.append(
            f"{device_mapper.of_verity(mount)} PARTUUID={data['uuid']} PARTUUID={item['uuid']} {token(mount)}\n"
        )
    return "".join(lines)
