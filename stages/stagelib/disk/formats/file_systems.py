"""Formats with the tree as one file system, without a partition table."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from stagelib.disk import labelled_view, output
from stagelib.disk.filesystems import registry
from stagelib.disk.filesystems.fs_spec import FsSpec
from stagelib.disk.filesystems.squashfs import make as squashfs
from stagelib.disk.formats.run import Run
from stagelib.disk.layout import FileSystem
from stagelib.disk.planner import Place
from stagelib.disk.sizes import MIB
from stagelib.disk.tree_parts import TreePart

FREE = 64 * MIB  # room left, unless `free` says otherwise

Maker = Callable[[Run, Mapping[str, Any], str], None]


def image(kind: str) -> Maker:
    """The function that makes images of a file system of type `kind`: ext4, xfs, btrfs, erofs.

    Options: uuid, label, compression (erofs), size or free (bytes; all but erofs).
    """

    def make(run: Run, options: Mapping[str, Any], path: str) -> None:
        file_system = FileSystem(
            type=kind,
            uuid=options.get("uuid", run.identity),
            label=options.get("label", ""),
            mountpoint="/",
            compression=options.get("compression"),
        )
        with output.scratch_in(os.path.dirname(path)) as work:
            spec = FsSpec(file_system, run.tree, {"/": TreePart(run.tree, "/")}, work, run.epoch)
            maker = registry.TYPES[kind]
            size = options.get("size") or -(-maker.need(spec, options.get("free", FREE)) // MIB) * MIB
            with open(path, "wb") as file:
                file.truncate(size)
            maker.make(spec, path, Place(0, size))

    return make


def squashfs_image(run: Run, options: Mapping[str, Any], path: str) -> None:
    """The tree as a squashfs. Options: compression."""
    os.link(squashed(run, options.get("compression", squashfs.COMPRESSION)), path)


def squashed(run: Run, compression: str = squashfs.COMPRESSION) -> str:
    """The path of a squashfs with the whole tree."""

    def make(directory: str) -> str:
        path = os.path.join(directory, "squashfs")
        with labelled_view.labelled(run.tree, "/", run.tree, directory) as shown:
            squashfs.pack(shown, path, run.epoch, compression)
        return path

    return run.once(f"squashfs {compression}", make)
