"""Formats that are archives of the tree."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stagelib.disk import archive
from stagelib.disk.formats.run import Run

# How the archive in each format is compressed: see compress.py.
COMPRESSIONS = {"tar": None, "tar.gz": "gzip", "tar.xz": "xz", "tar.zst": "zstd", "wsl": "gzip"}
CONTAINER = "oci-archive"
LAYERS = {"none": None, "gzip": "gzip", "zstd": "zstd"}


@dataclass(frozen=True)
class Packed:
    """Archives of the tree by compression, and the SHA-256 of the uncompressed archive, if it is needed."""

    files: Mapping[str | None, str]
    digest: str


def packed(run: Run) -> Packed:
    """The archives for all outputs of the run, made in one pass."""

    def make(directory: str) -> Packed:
        wanted = sorted({compression(item) for item in run.outputs}, key=str)
        files = {kind: os.path.join(directory, kind or "tar") for kind in wanted}
        digest = hashlib.sha256()
        has_containers = any(item["format"] == CONTAINER for item in run.outputs)
        archive.make_all(files, run.tree, *([digest.update] if has_containers else []))
        return Packed(files, digest.hexdigest())

    return run.once("archives", make)


def compression(item: Mapping[str, Any]) -> str | None:
    """The compression of the archive for an item of a run's outputs."""
    if item["format"] == CONTAINER:
        return LAYERS[item.get("compression", "gzip")]
    return COMPRESSIONS[item["format"]]


def tar(run: Run, options: Mapping[str, Any], path: str) -> None:
    """The tree as a tar archive, compressed as its format says."""
    os.link(packed(run).files[compression(options)], path)
