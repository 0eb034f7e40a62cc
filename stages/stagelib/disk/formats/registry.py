"""All formats by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from stagelib.disk.formats import cpio, disks, file_systems, iso, oci, ova, pxe, trees
from stagelib.disk.formats.run import Run


class Source(Enum):
    """The source of a format."""

    DISK = auto()
    TREE = auto()


@dataclass(frozen=True)
class Format:
    """How a format is made; the package's docstring says how to add one.

    shares: a name for the intermediate result that it shares with others; such formats are made one after another.
    reads: whether making it reads all of its source.
    """

    source: Source
    make: Callable[[Run, Mapping[str, Any], str], None]
    shares: str = ""
    reads: bool = True


FORMATS = {
    "raw": Format(Source.DISK, disks.raw, reads=False),
    "raw.xz": Format(Source.DISK, disks.raw_xz),
    "raw.zst": Format(Source.DISK, disks.raw_zst),
    **{kind: Format(Source.DISK, disks.converted(kind)) for kind in ("qcow2", "vdi", "vpc", "vhdx")},
    "vmdk": Format(Source.DISK, disks.vmdk, "vmdk"),
    "ova": Format(Source.DISK, ova.make, "vmdk"),
    "gce": Format(Source.DISK, disks.gce),
    **dict.fromkeys(trees.COMPRESSIONS, Format(Source.TREE, trees.tar, "archive")),
    trees.CONTAINER: Format(Source.TREE, oci.make, "archive"),
    **dict.fromkeys(cpio.COMPRESSIONS, Format(Source.TREE, cpio.make, "cpio")),
    "iso": Format(Source.TREE, iso.make, "squashfs"),
    "pxe": Format(Source.TREE, pxe.make, "squashfs"),
    "squashfs": Format(Source.TREE, file_systems.squashfs_image, "squashfs"),
    **{kind: Format(Source.TREE, file_systems.image(kind)) for kind in ("ext4", "xfs", "btrfs", "erofs")},
}
