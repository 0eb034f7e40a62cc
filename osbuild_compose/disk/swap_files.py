"""Swap files of the image: checks, and what templates see of them."""

from collections.abc import Iterator
from typing import Any

from osbuild_compose.disk import uuids
from osbuild_compose.disk.model import Layout
from osbuild_compose.disk.types import FileSystemType
from osbuild_compose.problem import Problem

SMALLEST = 40 * 1024  # bytes: mkswap(8) refuses less than ten pages
ABLE = (FileSystemType.EXT4, FileSystemType.XFS)


def problems(layout: Layout) -> Iterator[Problem]:
    """Swap files that the kernel would refuse, or that are there twice."""
    seen: set[str] = set()
    for number, item in enumerate(layout.disk.swap_files):
        trail = ("disk", "swap_files", number)
        if not item.path:
            continue  # the schema reports it
        if item.path in seen:
            yield Problem((*trail, "path"), f"`swap_files` has {item.path} twice")
        seen.add(item.path)
        if item.size is not None and item.size < SMALLEST:
            yield Problem((*trail, "size"), f"`size`: a swap file has {SMALLEST // 1024} KiB at least")
        if any(item.path in volume.mounts for volume in layout.partitions):
            yield Problem((*trail, "path"), f"`path`: a file system is mounted at {item.path}", "name a file below it")
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


def files(layout: Layout) -> tuple[dict[str, Any], ...]:
    """What templates see of the swap files: path, size in bytes, and the UUID that mkswap(8) gives it."""
    return tuple(
        {"path": item.path, "size": item.size, "uuid": uuids.uuid_for(layout.blueprint, f"swap file {item.path}")}
        for item in layout.disk.swap_files
    )
