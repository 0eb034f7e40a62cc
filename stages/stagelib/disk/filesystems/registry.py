"""All types of file systems that a partition can have.

To add one: a module with `need` and `make`, an entry in TYPES, its name in the schemas of the two assemblers of disks
and of the blueprint, its programs in tools.PACKAGES. `need` returns how many bytes the file system must have for its
content and `free` additional bytes; `make` writes it into its place in the image. A type whose size is known only
after making it (squashfs) is made in `need`, in the directory for scratch files, and copied by `make`.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from stagelib.disk import labels
from stagelib.disk.filesystems import fat, swap
from stagelib.disk.filesystems.btrfs import make as btrfs
from stagelib.disk.filesystems.erofs import make as erofs
from stagelib.disk.filesystems.ext4 import make as ext4
from stagelib.disk.filesystems.fs_spec import FsSpec
from stagelib.disk.filesystems.squashfs import make as squashfs
from stagelib.disk.filesystems.xfs import make as xfs
from stagelib.disk.planner import Place
from stagelib.disk.sizes import BLOCK, MIB
from stagelib.disk.types import MINIMUM


@dataclass(frozen=True)
class FileSystemType:
    """How a type of file system is made.

    minimum: the size of its content without the file system's own tables, for partitions whose size is given: there
    the mkfs program checks whether all fits.
    """

    need: Callable[[FsSpec, int], int]
    make: Callable[[FsSpec, str, Place], None]
    minimum: Callable[[FsSpec], int]


# The size of mke2fs' journal for file systems up to a size, both in MiB: ext2fs_default_journal_size().
JOURNALS = ((128, 4), (1024, 16), (2048, 32), (16384, 64), (32768, 128), (65536, 256), (131072, 512))


def _ext4_need(spec: FsSpec, free: int) -> int:
    content = spec.size()
    # Inodes of 256 bytes and a quarter more of them than there are files; then tables by size, and the reserve of 5 %.
    fixed = content.data + content.inodes * 352 + free + 8 * MIB
    size = fixed
    for _ in range(3):
        journal = next((kept for limit, kept in JOURNALS if size < limit * MIB), 1024) * MIB
        size = fixed + journal + size // 20 + size // 40
    return size


def _ext4_make(spec: FsSpec, image: str, place: Place) -> None:
    with _labels(spec) as found:
        ext4.make(
            image,
            spec.content,
            offset=place.start,
            size=place.size // BLOCK * BLOCK,
            fs_uuid=spec.file_system.uuid,
            epoch=spec.epoch,
            labels=found,
            label=spec.file_system.label,
        )


def _labels(spec: FsSpec) -> AbstractContextManager[Callable[[], Mapping[str, str]]]:
    """The labels of its files, looked up in the background of the block."""
    if spec.file_system.mountpoint:
        return labels.in_background(spec.tree, spec.file_system.mountpoint)
    return nullcontext(dict)


def _xfs_need(spec: FsSpec, free: int) -> int:
    content = spec.size()
    return max(MINIMUM["xfs"], content.data + content.inodes * 640 + free + content.data // 32 + 96 * MIB)


def _xfs_make(spec: FsSpec, image: str, place: Place) -> None:
    with _labels(spec) as found:
        xfs.make(
            image,
            spec.content,
            place,
            fs_uuid=spec.file_system.uuid,
            epoch=spec.epoch,
            labels=found,
            work=spec.work,
            label=spec.file_system.label,
            sector=spec.sector,
        )


def _data(spec: FsSpec) -> int:
    return spec.size().data


TYPES = {
    "ext4": FileSystemType(_ext4_need, _ext4_make, _data),
    "xfs": FileSystemType(_xfs_need, _xfs_make, _data),
    "btrfs": FileSystemType(btrfs.need, btrfs.make, _data),
    "vfat": FileSystemType(fat.need, fat.make, _data),
    "swap": FileSystemType(swap.need, swap.make, lambda spec: swap.need(spec, 0)),
    "squashfs": FileSystemType(squashfs.need, squashfs.make, lambda spec: squashfs.need(spec, 0)),
    "erofs": FileSystemType(erofs.need, erofs.make, lambda spec: erofs.need(spec, 0)),
}
