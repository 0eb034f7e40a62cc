"""Disks that their partitions do not fit on, those that booting needs among them, as far as known before building."""

from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.blueprint.values.size import MIB
from osbuild_compose.compile import located_errors
from osbuild_compose.disk import layout, minimum_sizes
from osbuild_compose.disk.minimum_sizes import EXTENT
from osbuild_compose.disk.model import Firmware, Partition, Table
from osbuild_compose.distro.model import Release
from osbuild_compose.errors import InputError

GPT_ENTRIES = 16384  # bytes of each copy of the table, besides the sector of its header


def problems(blueprint: Blueprint, release: Release) -> list[InputError]:
    """Starts inside of what is in front, and a size that is too small. The release has the blueprint's architecture."""
    disk = blueprint.disk
    firmware = tuple(Firmware(name) for name in release.architectures[blueprint.arch].firmware)
    made = layout.resolve(disk, blueprint.name, blueprint.arch, firmware).partitions
    has_root = any("/" in item.mounts for item in disk.partitions)
    added = len(made) - len(disk.partitions) - (not has_root)  # in front of the blueprint's own
    is_gpt = disk.table is Table.GPT
    end = GPT_ENTRIES + 2 * disk.sector_size if is_gpt else disk.sector_size
    for number, item in enumerate(made):
        if item.start is not None and item.start < end:
            what = f"it overlaps {made[number - 1].name}" if number else "it overlaps the partition table"
            return [
                located_errors.at_value(
                    blueprint,
                    ("disk", "partitions", number - added, "start"),
                    f"{what}, which ends at {end} bytes at the earliest, by {end - item.start}",
                    f"write {_aligned(end)} or more, or leave `start` out",
                )
            ]
        end = (_aligned(end) if item.start is None else item.start) + _least(item)
    need = end + (GPT_ENTRIES + disk.sector_size if is_gpt else 0)  # a GPT has its second copy at the end
    if disk.size is None or disk.size >= need:
        return []
    parts = ", ".join(f"{item.name} {_least(item) // MIB} MiB" for item in made)
    return [
        located_errors.at_value(
            blueprint,
            ("disk", "size"),
            f"the disk is too small for its partitions, by {-(-(need - disk.size) // MIB)} MiB: "
            f"they have at least {parts}",
            f"write {_aligned(need) // MIB} MiB and what the system needs, or leave `size` out",
        )
    ]


def _least(item: Partition) -> int:
    """The bytes that the partition takes: at least, if its content decides."""
    if item.size is not None:
        return item.size + MIB * item.verity
    volumes = sum(-(-_least(volume) // EXTENT) * EXTENT for volume in item.logical_volumes)
    inner = volumes + MIB if volumes else minimum_sizes.OF_FILE_SYSTEMS.get(item.file_system or "", MIB)
    return _aligned(max(inner, item.minimum or 0)) + MIB * item.verity  # a partition of hashes is behind it


def _aligned(amount: int) -> int:
    return -(-amount // MIB) * MIB
