"""All formats by their names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from stagelib.disk.formats import clouds, cpio, disks, file_systems, iso, oci, ova, pxe, trees
from stagelib.disk.formats.run import Run


class Source(Enum):
    """What a format is made from."""

    DISK = auto()
    TREE = auto()


@dataclass(frozen=True)
class Format:
    """How a format is made; the package's docstring says how to add one."""

    source: Source
    make: Callable[[Run, Mapping[str, Any], str], None]


FORMATS = {
    "raw": Format(Source.DISK, disks.raw),
    "raw.xz": Format(Source.DISK, disks.raw_xz),
    "raw.zst": Format(Source.DISK, disks.raw_zst),
    **{kind: Format(Source.DISK, disks.converted(kind)) for kind in ("qcow2", "vdi", "vmdk", "vpc", "vhdx")},
    "gce": Format(Source.DISK, clouds.gce),
    "ova": Format(Source.DISK, ova.make),
    "tar": Format(Source.TREE, trees.tar(None)),
    "tar.gz": Format(Source.TREE, trees.tar("gzip")),
    "tar.xz": Format(Source.TREE, trees.tar("xz")),
    "tar.zst": Format(Source.TREE, trees.tar("zstd")),
    "wsl": Format(Source.TREE, trees.tar("gzip")),  # what `wsl --install --from-file` takes is a tar archive
    "cpio": Format(Source.TREE, cpio.packed(None)),
    "cpio.gz": Format(Source.TREE, cpio.packed("gzip")),
    "cpio.xz": Format(Source.TREE, cpio.packed("xz")),
    "cpio.zst": Format(Source.TREE, cpio.packed("zstd")),
    "iso": Format(Source.TREE, iso.make),
    "pxe": Format(Source.TREE, pxe.make),
    "oci-archive": Format(Source.TREE, oci.make),
    **{kind: Format(Source.TREE, file_systems.image(kind)) for kind in file_systems.KINDS},
}
