"""One run of an assembler: the disk once, and every output from it or from the tree."""

import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from stagelib.disk import layout, output, raw_disk
from stagelib.disk.errors import ImageError
from stagelib.disk.formats.registry import FORMATS, Source
from stagelib.disk.formats.run import RawDisk, Run
from stagelib.disk.raw_disk import Loader


def images(
    tree: str,
    outputs: Sequence[Mapping[str, Any]],
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
    needs_disk = any(FORMATS[item["format"]].source is Source.DISK for item in outputs)
    if needs_disk and disk:
        names += [hashes.filename for _, hashes in disk.hashes]
    for name in names:
        if names.count(name) > 1:
            raise ImageError(f"two outputs are called {name}", "give each a filename of its own")
    with ExitStack() as stack:
        partial = stack.enter_context(output.all_staged(output_dir, names))
        made = None
        if needs_disk:
            if disk is None:
                raise ImageError("there is no disk to make these formats from", "describe it under `disk`")
            # The raw disk is where it can be handed over without a copy.
            path = os.path.join(stack.enter_context(output.scratch_beside(partial)), "disk.raw")
            done = raw_disk.make(path, tree, disk, loader)
            made = RawDisk(path, disk, done.plan)
            for name, root_hash in done.root_hashes.items():
                with open(os.path.join(partial, name), "x", encoding="ascii") as file:  # noqa: PTH123
                    file.write(f"{root_hash}\n")
        run = Run(tree, output.epoch(), identity, made)
        for item in sorted(outputs, key=lambda item: item["format"] == "raw"):
            target = os.path.join(partial, item["filename"])
            if item["format"] == "raw" and made and os.path.exists(made.path):
                os.rename(made.path, target)  # the last one: nobody needs it any more
                continue
            own = {key: value for key, value in item.items() if key not in ("format", "filename")}
            FORMATS[item["format"]].make(run, own, target)
