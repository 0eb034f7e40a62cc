"""Swap files of the image: checks, and what templates see of them."""

from collections.abc import Iterator
from typing import Any

from osbuild_compose.blueprint.values.size import GIB, MIB
from osbuild_compose.disk import uuids
from osbuild_compose.disk.model import Layout
from osbuild_compose.disk.types import FileSystemType
from osbuild_compose.problem import Problem

TIB = 1024 * GIB
SMALLEST = 40 * 1024  # bytes: mkswap(8) refuses less than ten pages
LARGEST = 16 * TIB  # bytes: ext4 has no larger files
ABLE = (FileSystemType.EXT4, FileSystemType.XFS)


def problems(layout: Layout) -> Iterator[Problem]:
    """Swap files that the kernel would refuse, or that are there twice."""
    for number, item in enumerate(layout.disk.swap_files):
        trail = ("disk", "swap_files", number)
        if not item.path:
            continue  # the schema reports it
        if item.size is not None and item.size < SMALLEST:
            yield Problem((*trail, "size"), f"`size`: a swap file has {SMALLEST // 1024} KiB at least")
        if item.size is not None and item.size > LARGEST:
            yield Problem((*trail, "size"), f"`size`: a file has {LARGEST // TIB} TiB at most")
        points = [point for volume in layout.volumes for point in volume.mounts]
        if item.path in points:
            yield Problem((*trail, "path"), f"`path`: a file system is mounted at {item.path}", "name a file below it")
            continue
        if below := next((point for point in points if point.startswith(f"{item.path}/")), None):
            yield Problem(
                (*trail, "path"), f"`path`: {item.path} is a directory, as a file system is mounted at {below}"
            )
            continue
        holder, _ = layout.holding(item.path)
        kind = holder.file_system
        if kind not in ABLE:
            is_btrfs = kind is FileSystemType.BTRFS
            reason = "its files are copied on write" if is_btrfs else "it cannot be written in place"
            brief = f"`path`: the kernel takes no swap file on {kind}: {reason}"
            yield Problem(
                (*trail, "path"), brief, f"put it on {' or '.join(ABLE)}, or make a partition: {{type: swap}}"
            )
        elif holder.verity:
            brief = f"`path`: {holder.mount} is read-only, as `verity` protects it"
            yield Problem((*trail, "path"), brief, "put it elsewhere, or make a partition: {type: swap}")


def room(layout: Layout) -> Iterator[Problem]:
    """Swap files that are larger than their partition, or all together than the disk. All sizes have to be right."""
    left: dict[str, int] = {}
    for number, item in enumerate(layout.disk.swap_files):
        if item.size is None or not item.path:
            continue
        holder, _ = layout.holding(item.path)
        for name, size in (("the disk", layout.disk.size), (f"the partition {holder.title}", holder.size)):
            if size is None:
                continue
            left[name] = left.get(name, size) - item.size
            if left[name] < 0:
                brief = f"`size`: the swap files do not fit on {name}, which has {size // MIB} MiB"
                yield Problem(("disk", "swap_files", number, "size"), brief, "make it larger, or leave its `size` out")
                break


def files(layout: Layout) -> tuple[dict[str, Any], ...]:
    """What templates see of the swap files: path, size in bytes, and the UUID that mkswap(8) gives it."""
    return tuple(
        {"path": item.path, "size": item.size, "uuid": uuids.uuid_for(layout.blueprint, f"swap file {item.path}")}
        for item in layout.disk.swap_files
    )
