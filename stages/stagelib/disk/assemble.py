"""One run of an assembler: the disk once, and every output from it or from the tree."""

import os
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from stagelib.disk import layout, output, raw_disk
from stagelib.disk.errors import ImageError
from stagelib.disk.formats.registry import FORMATS, Source
from stagelib.disk.formats.run import RawDisk, Run
from stagelib.disk.raw_disk import Loader

Output = Mapping[str, Any]  # an item of the assembler's outputs


def images(
    tree: str,
    outputs: Sequence[Output],
    output_dir: str,
    *,
    identity: str,
    disk: layout.Disk | None = None,
    loader: Loader = Loader(),  # noqa: B008 - frozen
) -> None:
    """Make all `outputs` ({"format", "filename", options of the format}) of `tree` in the directory output_dir.

    Either all of them appear or none. identity: a UUID from which formats make the identifiers they need. Raises
    ImageError for what a person can mend.
    """
    names = [str(item["filename"]) for item in outputs]
    disks = _of(outputs, Source.DISK)
    if disks and disk:
        names += [hashes.filename for _, hashes in disk.hashes]
    for name in names:
        if names.count(name) > 1:
            raise ImageError(f"two outputs are called {name}", "give each a filename of its own")
    with output.all_staged(output_dir, names) as partial:
        epoch = output.epoch()
        if disks:
            if disk is None:
                raise ImageError("there is no disk to make these formats from", "describe it under `disk`")
            # Where it can be handed over without a copy. It goes before anything is made from the tree.
            with output.scratch_beside(partial) as work:
                path = os.path.join(work, "disk.raw")
                done = raw_disk.make(path, tree, disk, loader)
                made = RawDisk(path, disk, done.plan)
                for name, root_hash in done.root_hashes.items():
                    with open(os.path.join(partial, name), "x", encoding="ascii") as file:  # noqa: PTH123
                        file.write(f"{root_hash}\n")
                _make(disks, partial, lambda items, room: Run(tree, epoch, identity, items, room, made))
        _make(_of(outputs, Source.TREE), partial, lambda items, room: Run(tree, epoch, identity, items, room))


def _of(outputs: Sequence[Output], source: Source) -> list[Output]:
    """Those that are made from `source`, what shares something side by side."""
    found = (item for item in outputs if FORMATS[item["format"]].source is source)
    return sorted(found, key=_shares)


def _make(outputs: Sequence[Output], directory: str, run: Callable[[tuple[Output, ...], str], Run]) -> None:
    """Make the outputs in the directory; what they share goes with the last that needs it."""
    for _, group in groupby(outputs, _shares):
        items = tuple(group)
        with output.scratch_beside(directory) as room:
            shared = run(items, room)
            for item in items:
                FORMATS[item["format"]].make(shared, item, os.path.join(directory, item["filename"]))


def _shares(item: Output) -> str:
    return FORMATS[item["format"]].shares
