"""Disks as hypervisors take them: qemu-img's formats, and raw disks compressed."""

from collections.abc import Callable, Mapping
from typing import Any

from stagelib.disk import qemu_img, tools
from stagelib.disk.formats.run import Run

ZSTD = ("zstd", "--quiet", "--stdout", "--threads=0", "-3")

Maker = Callable[[Run, Mapping[str, Any], str], None]


def raw(run: Run, _options: Mapping[str, Any], path: str) -> None:
    """The disk as it is; a copy that stays sparse."""
    tools.run(["cp", "--sparse=always", "--reflink=auto", run.raw.path, path])


def converted(kind: str) -> Maker:
    """The maker of qemu-img's format `kind`. Options: compression (qcow2)."""

    def make(run: Run, options: Mapping[str, Any], path: str) -> None:
        compression = options.get("compression", "none")
        qemu_img.convert(run.raw.path, path, kind, compression=compression, disk_uuid=run.identity, epoch=run.epoch)

    return make


def raw_xz(run: Run, _options: Mapping[str, Any], path: str) -> None:
    """The disk compressed with xz -0."""
    qemu_img.compress_raw(run.raw.path, path)


def raw_zst(run: Run, _options: Mapping[str, Any], path: str) -> None:
    """The disk compressed with zstd."""
    tools.compress(list(ZSTD), run.raw.path, path)
