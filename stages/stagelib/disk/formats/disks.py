"""Formats of disks: qemu-img's, raw disks compressed, and the archive that Google Compute Engine imports."""

import os
import shutil
from collections.abc import Callable, Mapping
from typing import Any

from stagelib.disk import compress, output, qemu_img, tools
from stagelib.disk.formats.run import Run
from stagelib.disk.sizes import human
from stagelib.errors import StageError

ZSTD = ("zstd", "--quiet", "--stdout", "--threads=0", "-3")

Maker = Callable[[Run, Mapping[str, Any], str], None]


def raw(run: Run, _options: Mapping[str, Any], path: str) -> None:
    """The raw disk: the first output is the disk itself, others are sparse copies."""
    if os.stat(run.raw.path).st_nlink == 1:
        os.link(run.raw.path, path)
    else:
        tools.run(["cp", "--sparse=always", "--reflink=auto", run.raw.path, path])


def converted(kind: str) -> Maker:
    """The function that makes qemu-img's format `kind`. Options: compression (qcow2)."""

    def make(run: Run, options: Mapping[str, Any], path: str) -> None:
        compression = options.get("compression", "none")
        qemu_img.convert(run.raw.path, path, kind, compression=compression, disk_uuid=run.identity, epoch=run.epoch)

    return make


def vmdk(run: Run, _options: Mapping[str, Any], path: str) -> None:
    """A vmdk for VMware."""
    os.link(streamed(run, os.path.basename(path)), path)


def streamed(run: Run, name: str) -> str:
    """The path of the disk as a streamOptimized vmdk. It records `name`, the name of its final file."""

    def make(directory: str) -> str:
        path = os.path.join(directory, name)
        qemu_img.convert(run.raw.path, path, "vmdk", compression="none", disk_uuid=run.identity, epoch=run.epoch)
        return path

    return run.once(f"vmdk {name}", make)


def raw_xz(run: Run, _options: Mapping[str, Any], path: str) -> None:
    """The disk compressed with xz -0."""
    qemu_img.compress_raw(run.raw.path, path)


def raw_zst(run: Run, _options: Mapping[str, Any], path: str) -> None:
    """The disk compressed with zstd."""
    tools.compress(list(ZSTD), run.raw.path, path)


GIB = 1 << 30


def gce(run: Run, _options: Mapping[str, Any], path: str) -> None:
    """A disk for Google Compute Engine: disk.raw in a gzipped tar archive of GNU's old form, a whole number of GiB.

    https://cloud.google.com/compute/docs/import/import-existing-image: "Requirements for the image file".
    """
    if run.raw.plan.size % GIB:
        raise StageError(
            f"Compute Engine accepts disks of whole GiB, and this one has {human(run.raw.plan.size)}",
            "make the size a multiple of 1 GiB, or leave it out",
        )
    with output.scratch_in(os.path.dirname(path)) as work:
        os.link(run.raw.path, os.path.join(work, "disk.raw"))
        argv = ["tar", "--create", "--file=-", f"--directory={work}", "--format=oldgnu", "--sparse"]
        argv.append("--hole-detection=raw")  # the file system's answer about holes can change
        argv += ["--owner=0", "--group=0", "--numeric-owner", "--mode=0644", f"--mtime=@{run.epoch}", "disk.raw"]
        with compress.writing({"gzip": path}) as file:
            tools.pipe(argv, lambda source: shutil.copyfileobj(source, file, compress.BUFFER))
