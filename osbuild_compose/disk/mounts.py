"""How the image mounts its file systems: fstab, crypttab, veritytab and kernel arguments."""

from collections.abc import Iterator
from typing import Any

from osbuild_compose.disk import growth, uuids
from osbuild_compose.disk.model import ROOT_HASH_ARGUMENTS, Layout, Partition, Subvolume, Table
from osbuild_compose.disk.types import FileSystemType

VERITYTAB = "/etc/veritytab"


def fstab(layout: Layout) -> Iterator[dict[str, Any]]:
    """The entries of fstab(5), outer mount points before inner ones, swap last."""
    mounted = [(point, item, volume) for item in layout.volumes for point, volume in item.points]
    for point, item, volume in sorted(mounted, key=lambda entry: entry[0]):
        is_checked = item.file_system is FileSystemType.EXT4 and not item.verity
        yield {
            **_source(item, layout),
            "path": point,
            "vfs_type": item.file_system,
            "options": _options(item, volume, grows=item.grows_at_boot and point == growth.mount_point(item)),
            "freq": 1 if point == "/" and is_checked else 0,
            "passno": (1 if point == "/" else 2) if is_checked else 0,
        }
    for item in layout.volumes:
        if item.file_system is FileSystemType.SWAP:
            source = _source(item, layout)
            yield {
                **source,
                "path": "none",
                "vfs_type": "swap",
                "options": item.options or "sw",
                "freq": 0,
                "passno": 0,
            }
    for swap in layout.disk.swap_files:
        yield {"device": swap.path, "path": "none", "vfs_type": "swap", "options": "sw", "freq": 0, "passno": 0}


def _source(item: Partition, layout: Layout) -> dict[str, str | None]:
    """The first field of fstab: how the file system is identified."""
    if item.device:
        return {"device": item.device}
    if item.file_system is not FileSystemType.SQUASHFS:
        return {"uuid": item.uuid}
    if layout.disk.table is Table.GPT:  # a squashfs has no UUID
        return {"partlabel": item.name}
    number = next((number for number, other in enumerate(layout.partitions, 1) if other is item), 0)
    return {"device": f"PARTUUID={layout.uuid[:8].lower()}-{number:02x}"}


def _options(item: Partition, volume: Subvolume | None, *, grows: bool = False) -> str:
    options = [item.options] if item.options else []
    if volume:
        options.append(f"subvol=/{volume.name}")
    if item.file_system is FileSystemType.VFAT and not item.options:
        options.append("umask=0077")
    if item.verity or (item.file_system and item.file_system.is_read_only):
        options.append("ro")
    if grows:
        options.append("x-systemd.growfs")
    return ",".join(options) or "defaults"


def crypttab(layout: Layout) -> str:
    """The text of crypttab(5). `initramfs` is for Debian's, which cannot detect the disk of / while it is built."""
    return "".join(
        f"{item.luks_name} UUID={luks_uuid(layout, item)} none luks{',initramfs' if '/' in item.mounts else ''}\n"
        for item in layout.partitions
        if item.luks
    )


def luks_uuid(layout: Layout, item: Partition) -> str:
    """The UUID of an encrypted partition's header."""
    return uuids.uuid_for(layout.blueprint, item.luks_name)


def veritytab(layout: Layout) -> str:
    """The text of veritytab(5), without the devices that the initramfs opens."""
    lines = []
    for item in layout.partitions:
        if item.hashes and item.partition_uuid:
            data = layout.partitions[item.hashes.of]
            source = f"PARTUUID={data.partition_uuid} PARTUUID={item.partition_uuid}"
            lines.append(f"{data.verity_name} {source} {root_hash_token(data.mount or '')}\n")
    return "".join(lines)


def kernel_arguments(layout: Layout) -> str:
    """The kernel arguments with which the initramfs opens devices that dm-verity protects."""
    return " ".join(f"{ROOT_HASH_ARGUMENTS[mount]}={root_hash_token(mount)}" for mount in layout.sealed)


def root_hash_token(mount: str) -> str:
    """The placeholder of the root hash of the file system at `mount`, until the assembler replaces it."""
    return f"@roothash:{mount}@"
