"""Partitions protected by dm-verity: those with their hashes, and what the system is told of both.

Types, and where partition UUIDs come from: https://uapi-group.org/specifications/specs/discoverable_partitions_specification
"""

import hashlib
from typing import Any

from osbuild_compose.blueprint import mapped_names
from osbuild_compose.blueprint.disk import Partition
from osbuild_compose.compile import identity

TABLE = "/etc/veritytab"
# Where a root hash tells what to mount, it is on the kernel's command line: systemd-veritysetup-generator(8).
ON_COMMAND_LINE = ("/", "/usr")
HASH_TYPES = {"root-x86-64": "root-x86-64-verity", "usr-x86-64": "usr-x86-64-verity"}


def token(mount: str) -> str:
    """What stands for the root hash of what is mounted at `mount` until the image is made."""
    return f"@roothash:{mount}@"


def filename(name: str, mount: str) -> str:
    """The file with the root hash beside the image of the blueprint `name`, as systemd-nspawn(1) calls it."""
    known = {"/": "roothash", "/usr": "usrhash"}
    return f"{name}.{known.get(mount) or f'{mapped_names.of_verity(mount)}.roothash'}"


def hashes(item: Partition, number: int, name: str) -> dict[str, Any]:
    """The partition of hashes behind `item`, which is number `number` (from 1), as the assembler takes it."""
    mount = item.mount or ""
    own = {
        "type": HASH_TYPES.get(str(item.type), "linux"),
        "name": f"{item.name}-verity"[:36],
        "hashes": {
            "of": number,
            "uuid": identity.uuid_for(name, f"{mount} verity"),
            "salt": hashlib.sha256(identity.uuid_for(name, f"{mount} verity salt").encode()).hexdigest(),
            "filename": filename(name, mount),
        },
    }
    if mount not in ON_COMMAND_LINE:
        own["uuid"] = identity.uuid_for(name, f"partition {own['name']} {number + 1}")
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
            f"{mapped_names.of_verity(mount)} PARTUUID={data['uuid']} PARTUUID={item['uuid']} {token(mount)}\n"
        )
    return "".join(lines)
