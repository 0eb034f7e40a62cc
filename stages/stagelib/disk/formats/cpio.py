"""cpio archives in the "newc" form, which the kernel unpacks as an initramfs.

The form has no room for extended attributes, ACLs, and files of 4 GiB and more; the kernel's
Documentation/driver-api/early-userspace/buffer-format.rst describes it.
"""

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stagelib import selinux
from stagelib.disk import archive, output, tools
from stagelib.disk.errors import ImageError
from stagelib.disk.formats.run import Run
from stagelib.disk.sizes import human

LIMIT = (1 << 32) - 1  # bytes in a file: eight hexadecimal digits


def packed(compression: str | None) -> Callable[[Run, Mapping[str, Any], str], None]:
    """The maker of cpio archives; compression is gzip, xz or zstd, or None."""

    def make(run: Run, _options: Mapping[str, Any], path: str) -> None:
        with output.scratch_beside(os.path.dirname(path)) as work:
            names, plain = os.path.join(work, "names"), os.path.join(work, "plain")
            with open(names, "wb") as file:  # noqa: PTH123
                file.writelines(os.fsencode(name) + b"\0" for name in _names(run.tree))
            argv = ["cpio", "--create", "--format=newc", "--null", "--reproducible", "--quiet"]
            tools.compress([*argv, f"--directory={run.tree}"], names, plain)
            if compression is None:
                os.rename(plain, path)
            elif compression == "xz":
                # The kernel knows no other checksum.
                tools.compress(["xz", "--stdout", "--check=crc32", "--threads=2", "--block-size=24MiB"], plain, path)
            else:
                archive.compress(compression, plain, path)

    return make


def _names(tree: str) -> Iterator[str]:
    """Everything in the tree, sorted, a directory before what is in it. Raises ImageError for a file too large."""
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
                raise ImageError(
                    f"/{name} has {human(info.st_size)}, and a cpio archive has room for files below 4 GiB only",
                    "make a tar archive, or leave the file out",
                )
            yield name
            if entry.is_dir(follow_symlinks=False):
                directories.append(name)
        todo += reversed(directories)
