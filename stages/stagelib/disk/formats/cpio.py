"""cpio archives in the "newc" form, which the kernel unpacks as an initramfs.

The form does not support extended attributes, ACLs, and files of 4 GiB and more; it is described in the kernel's
Documentation/driver-api/early-userspace/buffer-format.rst.
"""

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from typing import Any

from stagelib import selinux
from stagelib.disk import compress, tools
from stagelib.disk.formats.run import Run
from stagelib.disk.sizes import human
from stagelib.errors import StageError

LIMIT = (1 << 32) - 1  # bytes in a file: eight hexadecimal digits


# How each format is compressed: see compress.py.
COMPRESSIONS = {"cpio": None, "cpio.gz": "gzip", "cpio.xz": "xz for a kernel", "cpio.zst": "zstd"}


def make(run: Run, options: Mapping[str, Any], path: str) -> None:
    """The tree as a cpio archive, compressed as its format says."""
    os.link(packed(run)[COMPRESSIONS[options["format"]]], path)


def packed(run: Run) -> Mapping[str | None, str]:
    """The archives for all outputs of the run by compression, made in one pass."""

    def make(directory: str) -> Mapping[str | None, str]:
        wanted = sorted({COMPRESSIONS[item["format"]] for item in run.outputs}, key=str)
        files = {kind: os.path.join(directory, kind or "cpio") for kind in wanted}
        names = os.path.join(directory, "names")
        with open(names, "wb") as file:
            file.writelines(os.fsencode(name) + b"\0" for name in _names(run.tree))
        argv = ["cpio", "--create", "--format=newc", "--null", "--reproducible", "--quiet", f"--directory={run.tree}"]
        with compress.writing(files) as target:
            tools.pipe(argv, lambda source: shutil.copyfileobj(source, target, compress.BUFFER), source=names)
        return files

    return run.once("cpio", make)


def _names(tree: str) -> Iterator[str]:
    """All paths in the tree, sorted, directories before their contents. Raises StageError for a file too large."""
    yield "."
    todo = [""]
    while todo:
        above = todo.pop()
        with os.scandir(os.path.join(tree, above)) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        directories = []
        for entry in entries:
            name = os.path.join(above, entry.name)
            if name == selinux.RECORD:
                continue
            info = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(info.st_mode) and info.st_size > LIMIT:
                raise StageError(
                    f"/{name} has {human(info.st_size)}, and a cpio archive supports only files below 4 GiB",
                    "make a tar archive, or leave the file out",
                )
            yield name
            if entry.is_dir(follow_symlinks=False):
                directories.append(name)
        todo += reversed(directories)
