"""Encrypted partitions: what the assembler and the system are told of them."""

from collections.abc import Iterable, Mapping

from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.disk import uuids
from osbuild_compose.disk.model import Partition


def options(item: Partition, blueprint: str) -> dict[str, str]:
    """What the assembler takes."""
    return {"uuid": _uuid(item, blueprint), "passphrase": _passphrase(item, blueprint)}


def passphrases(blueprint: Blueprint) -> Mapping[str, str]:
    """The passphrases that the blueprint's pipeline names, which has not got them."""
    return {_passphrase(item, blueprint.name): item.luks.passphrase for item in blueprint.disk.partitions if item.luks}


def table(partitions: Iterable[Partition], blueprint: str) -> str:
    """The text of crypttab(5). `initramfs` is for Debian's, which cannot see while it is made what / is on."""
    return "".join(
        f"{item.mapped_name} UUID={_uuid(item, blueprint)} none luks{',initramfs' if '/' in item.mounts else ''}\n"
        for item in partitions
        if item.luks
    )


def _uuid(item: Partition, blueprint: str) -> str:
    return uuids.uuid_for(blueprint, item.mapped_name)


def _passphrase(item: Partition, blueprint: str) -> str:
    return f"{blueprint}/{item.mapped_name}"
