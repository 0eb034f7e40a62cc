"""What devices are called below /dev/mapper: encrypted partitions, those with hashes, logical volumes."""

from typing import Any

DIRECTORY = "/dev/mapper"


def of_luks(name: Any, volume_group: Any, mount: Any, file_system: Any) -> str:
    """The name of an encrypted partition, from the first of these that it has."""
    mounted = (mount.strip("/") or "root") if isinstance(mount, str) else None
    text = str(name or volume_group or mounted or file_system or "data")
    return "luks-" + "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "._") else "-" for letter in text
    )


def of_verity(mount: str) -> str:
    """The name of what dm-verity checks and is mounted at `mount`. systemd calls / and /usr so: root and usr."""
    return mount.strip("/").replace("/", "-") or "root"


def of_logical_volume(group: str, name: str) -> str:
    """The name of a logical volume, in which LVM doubles hyphens."""
    return "-".join(part.replace("-", "--") for part in (group, name))
