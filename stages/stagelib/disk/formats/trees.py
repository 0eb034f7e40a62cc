"""Archives of the tree."""

from collections.abc import Callable, Mapping
from typing import Any

from stagelib.disk import archive
from stagelib.disk.formats.run import Run

Maker = Callable[[Run, Mapping[str, Any], str], None]


def tar(compression: str | None) -> Maker:
    """The maker of tar archives; compression is a key of archive.COMPRESSORS, or None."""

    def make(run: Run, _options: Mapping[str, Any], path: str) -> None:
        archive.make(path, run.tree, compression=compression)

    return make
