"""Run an assembler: make the disk once, and every output from it or from the tree."""

import os
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from stagelib import api
from stagelib.disk import layout, output, raw_disk, sizes
from stagelib.disk.formats.registry import FORMATS, Source
from stagelib.disk.formats.run import RawDisk, Run
from stagelib.disk.progress import Meter
from stagelib.disk.raw_disk import Loader
from stagelib.errors import StageError

Output = Mapping[str, Any]  # an item of the assembler's outputs


def images(
    tree: str,
    outputs: Sequence[Output],
    output_dir: str,
    *,
    identity: str,
    disk: layout.Disk | None = None,
    loader: Loader = Loader(),  # noqa: B008 - frozen
    secrets: Mapping[str, str] = raw_disk.NONE,
) -> None:
    """Make all `outputs` ({"format", "filename", options of the format}) of `tree` in the directory output_dir.

    Either all of them appear or none. identity: a UUID from which formats derive the identifiers they need. secrets:
    the passphrases of the disk by name. Raises StageError for what its user can correct.
    """
    names = [str(item["filename"]) for item in outputs]
    disks = _of(outputs, Source.DISK)
    if disks and disk:
        names += [hashes.filename for _, hashes in disk.hashes]
    for name in names:
        if names.count(name) > 1:
            raise StageError(f"two outputs are called {name}", "give each its own filename")
    with output.all_staged(output_dir, names) as partial:
        epoch = output.epoch()
        trees = _of(outputs, Source.TREE)
        size = sizes.of_tree(tree).data if api.has_listener() else 0
        steps = [bool(disks), *(_reads(group) for items in (disks, trees) for group in _groups(items))]
        meter = Meter(size * sum(steps))
        if disks:
            if disk is None:
                raise StageError("these formats are made from a disk, and there is none", "describe it under `disk`")
            # On the same file system as the outputs, so that it need not be copied; removed before the tree's formats.
            with output.scratch_in(partial) as work:
                path = os.path.join(work, "disk.raw")
                with meter.step(size, "the disk"):
                    done = raw_disk.make(path, tree, disk, loader, secrets)
                made = RawDisk(path, disk, done.plan)
                for name, root_hash in done.root_hashes.items():
                    with open(os.path.join(partial, name), "x", encoding="ascii") as file:
                        file.write(f"{root_hash}\n")
                groups = _groups(disks)
                for group in groups:
                    with output.scratch_in(partial) as room, meter.step(size * _reads(group), _named(group)):
                        _make(partial, Run(tree, epoch, identity, group, room, made, is_last=group is groups[-1]))
        for group in _groups(trees):
            with output.scratch_in(partial) as room, meter.step(size * _reads(group), _named(group)):
                _make(partial, Run(tree, epoch, identity, group, room))


def _of(outputs: Sequence[Output], source: Source) -> list[Output]:
    return [item for item in outputs if FORMATS[item["format"]].source is source]


def _groups(outputs: Sequence[Output]) -> list[tuple[Output, ...]]:
    """Groups of outputs that share something; others alone."""

    def shared(item: Output) -> tuple[str, str]:
        word = FORMATS[item["format"]].shares
        return word, "" if word else item["filename"]

    return [tuple(group) for _, group in groupby(sorted(outputs, key=shared), shared)]


def _named(group: Sequence[Output]) -> str:
    """The formats of a group, as progress reports have them."""
    return " and ".join(item["format"] for item in group)[:60]


def _reads(group: Sequence[Output]) -> bool:
    """Whether making the group reads all of its input."""
    return any(FORMATS[item["format"]].reads for item in group)


def _make(directory: str, run: Run) -> None:
    for item in run.outputs:
        FORMATS[item["format"]].make(run, item, os.path.join(directory, item["filename"]))
