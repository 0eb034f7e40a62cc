"""What must hold of a blueprint's encrypted partitions beyond its schema."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from osbuild_compose.blueprint import passphrase
from osbuild_compose.blueprint.beside import Beside
from osbuild_compose.blueprint.partition_types import GUIDS
from osbuild_compose.document.read import Trail

Problem = tuple[Trail, str, str]  # where, what, and what to do
OF_FIRMWARE = ("esp", "ef", GUIDS["esp"], "bios-boot", GUIDS["bios-boot"])


def problems(disk: Mapping[str, Any], partitions: Sequence[Mapping[str, Any]], beside: Beside) -> Iterator[Problem]:
    """All that is wrong with the encryption of these partitions of a disk. Reads the passphrases."""
    names: list[str] = []
    plain = [item.get("mount") for item in partitions if "luks" not in item]
    for index, item in enumerate(partitions):
        if not isinstance(item.get("luks"), dict):
            continue
        trail: Trail = ("disk", "partitions", index, "luks")
        yield from (((*trail, *rest), what, hint) for rest, what, hint in _passphrase(item["luks"], beside))
        reason = _reason(item, disk, plain)
        if reason:
            yield trail, *reason
        name = mapped_name(*(item.get(key) for key in ("volume_group", "mount", "name", "file_system")))
        if name in names:
            yield trail, f"two encrypted partitions would both be /dev/mapper/{name}", "give one of them a `name`"
        names.append(name)


def mapped_name(volume_group: Any, mount: Any, name: Any, file_system: Any) -> str:
    """The name below /dev/mapper of an encrypted partition, from the first of these that it has."""
    mounted = (mount.strip("/") or "root") if isinstance(mount, str) else None
    text = str(name or volume_group or mounted or file_system or "data")
    return "luks-" + "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "._") else "-" for letter in text
    )


def _passphrase(source: Mapping[str, Any], beside: Beside) -> Iterator[Problem]:
    keys = [key for key in ("passphrase_file", "passphrase_variable") if isinstance(source.get(key), str)]
    if len(source) != 1 or len(keys) != 1:
        yield (), "`luks` says where the passphrase is", "write passphrase_file or passphrase_variable, one of them"
        return
    try:
        passphrase.read(source, beside, os.environ)
    except ValueError as error:
        hint = "the path is relative to the blueprint's directory" if keys == ["passphrase_file"] else "export it"
        yield (keys[0],), str(error), hint


def _reason(item: Mapping[str, Any], disk: Mapping[str, Any], plain: Sequence[Any]) -> tuple[str, str] | None:
    """Why the partition cannot be encrypted, and what to do."""
    volumes = item.get("logical_volumes")
    inner = [volume.get("mount") for volume in volumes if isinstance(volume, dict)] if isinstance(volumes, list) else []
    points = [item.get("mount"), *inner]
    if item.get("verity") is True:
        return "`luks` and `verity` do not go together: hashes of what is encrypted anew each time", "leave one out"
    if item.get("type") in OF_FIRMWARE or item.get("mount") in ("/boot/efi", "/efi"):
        return "firmware does not read what is encrypted", "leave `luks` out"
    if disk.get("bootloader", "grub") == "grub" and ("/boot" in points or ("/" in points and "/boot" not in plain)):
        return "GRUB's files cannot be encrypted", "add a partition for /boot: {mount: /boot, size: 1 GiB}"
    if not any(key in item for key in ("mount", "file_system", "volume_group", "subvolumes", "type")):
        return "there is nothing to encrypt: no file system", "add `mount` or `file_system`"
    return None
