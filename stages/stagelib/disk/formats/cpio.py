"""cpio archives in the "newc" form, which the kernel unpacks as an initramfs.

The form does not support extended attributes, ACLs, and files of 4 GiB and more; it is described in the kernel's
Documentation/driver-api/early-userspace/buffer-format.rst.
"""

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from stagelib import devices, selinux
from stagelib.devices import Device
from stagelib.disk import compress, tools
from stagelib.disk.formats.run import Run
from stagelib.disk.sizes import human
from stagelib.errors import StageError

LIMIT = (1 << 32) - 1  # bytes in a file: eight hexadecimal digits
HEADER, MAGIC, TRAILER = 110, b"070701", b"TRAILER!!!"
MODE, SIZE, DEVICE, NAME_SIZE = slice(14, 22), slice(54, 62), slice(78, 94), slice(94, 102)

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
        nodes: dict[bytes, Device] = {}
        with open(names, "wb") as file:
            file.writelines(os.fsencode(name) + b"\0" for name in _names(run.tree, nodes))
        argv = ["cpio", "--create", "--format=newc", "--null", "--reproducible", "--quiet", f"--directory={run.tree}"]
        with compress.writing(files) as target:
            tools.pipe(argv, lambda source: copy_with_devices(source, target, nodes), source=names)
        return files

    return run.once("cpio", make)


def copy_with_devices(source: BinaryIO, target: BinaryIO, nodes: Mapping[bytes, Device]) -> None:
    """Copy an archive, in which the entries that are named in `nodes`, empty files, become device nodes.

    Raises StageError when the archive ends too early.
    """
    while nodes:
        header = bytearray(_read(source, HEADER))
        length, size = int(header[NAME_SIZE], 16), int(header[SIZE], 16)
        name = _read(source, length + -(HEADER + length) % 4)  # padded, as the data is, to a multiple of four bytes
        entry = name[: length - 1]
        if header[:6] != MAGIC:
            raise StageError("cpio made an archive of a layout that is not known here")
        if device := nodes.get(entry):
            header[MODE] = b"%08X" % (device.type | stat.S_IMODE(int(header[MODE], 16)))
            header[DEVICE] = b"%08X%08X" % (device.major, device.minor)
        target.write(header)
        target.write(name)
        size += -size % 4
        while size:
            part = _read(source, min(size, compress.BUFFER))
            target.write(part)
            size -= len(part)
        if entry == TRAILER:
            break
    shutil.copyfileobj(source, target, compress.BUFFER)


def _read(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise StageError("cpio made an archive that ends too early")
    return data


def _names(tree: str, nodes: dict[bytes, Device]) -> Iterator[str]:
    """All paths in the tree, sorted, directories before their contents; placeholders are added to `nodes` by name.

    Raises StageError for a file too large.
    """
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
            if stat.S_ISREG(info.st_mode) and (device := devices.of_file(entry.path, info)):
                nodes[os.fsencode(name)] = device
            yield name
            if entry.is_dir(follow_symlinks=False):
                directories.append(name)
        todo += reversed(directories)
