"""All checks of a disk and of the formats that it is to have."""

from collections.abc import Iterator, Mapping
from typing import Any

from osbuild_compose.blueprint.local_files import LocalFiles
from osbuild_compose.disk.checks import (
    file_systems,
    items,
    loaders,
    luks,
    lvm,
    mounts,
    outputs,
    read_only_root,
    room,
    sizes,
    table,
    types,
    unencrypted,
    verity,
)
from osbuild_compose.problem import Problem, within


def problems(data: Any, local_files: LocalFiles) -> Iterator[Problem]:
    """All that is wrong with `disk` and `formats`. Reads the passphrases of encrypted partitions."""
    if not isinstance(data, dict):
        return
    disk = data.get("disk")
    yield from outputs.problems(data.get("formats"), disk if isinstance(disk, dict) else {})
    if isinstance(disk, dict):
        yield from within(("disk",), _disk(disk, local_files))
        yield from read_only_root.problems(data, disk)


def _disk(disk: Mapping[str, Any], local_files: LocalFiles) -> Iterator[Problem]:
    wrong_sizes = list(sizes.problems(disk))
    yield from wrong_sizes
    partitions = items.mappings(disk.get("partitions", []))
    if partitions is None:
        return
    yield from table.problems(disk, partitions)
    yield from loaders.problems(disk, partitions)
    yield from types.problems(disk, partitions)
    yield from mounts.problems(partitions)
    yield from verity.problems(disk, partitions)
    for place, item in items.holding_files(partitions):
        yield from within(place, file_systems.problems(item))
    yield from lvm.problems(partitions)
    yield from luks.problems(partitions, local_files)
    yield from unencrypted.problems(disk, partitions)
    if not wrong_sizes and sizes.all_readable(disk):
        yield from room.problems(disk, partitions)
