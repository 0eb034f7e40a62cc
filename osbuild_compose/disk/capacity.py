"""Computes the least sizes of partitions and where they start, and checks that they fit on the disk."""

from collections.abc import Iterator

from osbuild_compose.blueprint.values.size import MIB
from osbuild_compose.disk.model import Layout, Partition, Table
from osbuild_compose.disk.types import ALIGNMENT, GPT_ENTRIES, LUKS_HEADER, LVM_EXTENT, LVM_START
from osbuild_compose.problem import Problem

# Bytes: what the assemblers take at least for a partition or logical volume, and for a file system that is an output.
SMALLEST = 4096
SMALLEST_OUTPUT = MIB


def problems(layout: Layout, multiple: int = 1) -> Iterator[Problem]:
    """Problems with partitions that overlap or are too small. The disk's size must be a multiple of `multiple`."""
    disk, before = layout.disk, "the partition table"
    is_gpt = disk.table is Table.GPT
    end = GPT_ENTRIES + 2 * disk.sector_size if is_gpt else disk.sector_size
    for item in layout.partitions:
        if item.start is not None and item.start < end:
            brief = f"it overlaps {before}, which ends at {end} bytes at the earliest, by {end - item.start} bytes"
            yield Problem(item.at("start"), brief, f"write {aligned(end)} or more, or leave `start` out")
        end = (aligned(end) if item.start is None else item.start) + minimum(item)
        before = item.title
    need = end + (GPT_ENTRIES + disk.sector_size if is_gpt else 0)  # a GPT has its second copy at the end
    if disk.size is not None and disk.size < need:
        sizes = ", ".join(f"{item.title} {_mib(minimum(item))}" for item in layout.partitions)
        brief = f"the disk is too small for its partitions, by {_mib(need - disk.size)}: they need at least {sizes}"
        if added := [item for item in layout.partitions if item.trail is None]:
            reasons = (f"{item.title}, as {item.origin('size').reason}" for item in added)
            brief += f" (added: {'; '.join(reasons)})"
        enough = aligned(-(-need // multiple) * multiple)
        is_known = all(item.size is not None for item in layout.partitions)
        rest = " or more" if is_known else " and what the system needs"
        yield Problem(("disk", "size"), brief, f"write {_mib(enough)}{rest}, or leave `size` out")


def minimum(item: Partition) -> int:
    """The least size of a partition in bytes: its own size, or what its content needs even if it is empty."""
    return item.size if item.size is not None else max(aligned(max(_content(item), item.minimum or 0)), ALIGNMENT)


def aligned(amount: int) -> int:
    """The next multiple of the alignment of partitions, in bytes."""
    return -(-amount // ALIGNMENT) * ALIGNMENT


def _content(item: Partition) -> int:
    """The least size of the partition's content in bytes, as far as it is known before the tree is built."""
    own = item.file_system.traits.minimum if item.file_system else 0
    if item.logical_volumes:
        extents = (max(1, -(-(minimum(volume)) // LVM_EXTENT)) for volume in item.logical_volumes)
        own = LVM_START + sum(extents) * LVM_EXTENT
    return own + (LUKS_HEADER if item.luks else 0)


def too_small(item: Partition, smallest: int = SMALLEST) -> Iterator[Problem]:
    """Problems with partitions and logical volumes that are too small for their content."""
    for volume in item.logical_volumes:
        yield from too_small(volume)
    need = max(_content(item), smallest)
    if item.size is not None and item.size < need == smallest:
        yield Problem(item.at("size"), f"the minimum is {smallest} bytes", f"write {smallest} or more")
    elif item.size is not None and item.size < need:
        content = "logical volumes" if item.logical_volumes else item.file_system or "an empty partition"
        brief = f"the minimum for {content}{' and encryption' * bool(item.luks)} is {_mib(need)}"
        hint = f"write {_mib(need)} or more, or leave `size` out"
        yield Problem(item.at("size"), f"{brief}: {_mib(need - item.size)} too little", hint)


def _mib(amount: int) -> str:
    return f"{-(-amount // MIB)} MiB"
