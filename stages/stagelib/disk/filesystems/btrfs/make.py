"""Make a btrfs from a directory with mkfs.btrfs."""

import os
import stat
from contextlib import ExitStack

from stagelib import devices
from stagelib.devices import Device
from stagelib.disk import labelled_view, labels, sizes, sparse_copy, swap_files, tools, tree_parts
from stagelib.disk.filesystems.btrfs.make_reproducible import make_reproducible
from stagelib.disk.filesystems.fs_spec import FsSpec
from stagelib.disk.planner import Place
from stagelib.disk.sizes import MIB
from stagelib.disk.types import MINIMUM
from stagelib.errors import StageError

SUBVOLUMES = (6, 12)  # the first btrfs-progs whose --rootdir creates subvolumes
HOLES = (6, 17)  # the first that keeps holes


def need(spec: FsSpec, free: int) -> int:
    """The size in bytes of a btrfs with the content and `free` bytes left; metadata is duplicated, as by mkfs.btrfs."""
    content = spec.size()
    data = content.data
    if _version() < HOLES:
        data = max(data, sum(sizes.with_holes(spec.contents[point].path) for point in spec.file_system.mountpoints))
    metadata = content.inodes * 1024 + data // 512
    return max(MINIMUM["btrfs"], data + 2 * metadata + free + 128 * MIB, _made(spec))


def _made(spec: FsSpec) -> int:
    """The least size in bytes that mkfs.btrfs --rootdir makes of the content, whatever the size of its file.

    mkfs/rootdir.c, btrfs_mkfs_size_dir(): 16 KiB of metadata for each name and an eighth of the data, all of it twice.
    """
    names, data = 1, 0
    for point in spec.file_system.mountpoints:
        for above, directories, files in os.walk(os.fsencode(spec.contents[point].path)):
            names += len(directories) + len(files)
            for info in (os.lstat(os.path.join(above, name)) for name in files):
                data += sizes.blocks(info.st_size) if stat.S_ISREG(info.st_mode) else 0
    metadata = names * 16384 + data // 8
    return 37 * MIB + _whole(max(data, 1), 8 * MIB) + 2 * _whole(metadata, 32 * MIB)


def _whole(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def make(spec: FsSpec, image: str, place: Place) -> None:
    """Make a btrfs in `place` of the file `image`. Raises StageError when the tools are too old for subvolumes."""
    _refuse_swap_files(spec)
    area = os.path.join(spec.work, "btrfs")
    with open(area, "wb") as file:
        file.truncate(place.size)
    argv = ["mkfs.btrfs", "-q", "-f", "-U", spec.file_system.uuid, "--sectorsize", "4096", "--nodesize", "16384"]
    argv += ["-L", spec.file_system.label] if spec.file_system.label else []
    argv += [word for volume in spec.file_system.subvolumes for word in ("--subvol", volume.name.lstrip("/"))]
    with ExitStack() as stack:
        nodes: dict[bytes, Device] = {}
        top = _rootdir(spec, stack, nodes)
        # SOURCE_DATE_EPOCH would also change files' times.
        tools.run([*argv, "--rootdir", top, area], env={"SOURCE_DATE_EPOCH": None})
        _check_size(os.path.getsize(area), place)
        os.truncate(area, place.size)
        make_reproducible(area, top, fs_uuid=spec.file_system.uuid, epoch=spec.epoch, wanted=nodes)
    sparse_copy.dig_holes(area)
    sparse_copy.copy_into(area, image, place)
    os.unlink(area)


def _refuse_swap_files(spec: FsSpec) -> None:
    """Raise StageError for a swap file: the kernel takes none with copy-on-write, which mkfs.btrfs cannot turn off."""
    points: list[str | None] = [volume.mountpoint for volume in spec.file_system.subvolumes] or [
        spec.file_system.mountpoint
    ]
    for point in points:
        tree = spec.content if point is None else spec.contents[point].path
        if found := next(swap_files.in_tree(tree), None):
            path = os.path.join(point or "/", found.lstrip("/"))
            raise StageError(
                f"{path} is a swap file, and the kernel would refuse it on this btrfs: its files are copied on write",
                "make a swap partition, or put it on ext4 or xfs, or make it at boot: btrfs filesystem mkswapfile",
            )


def _check_size(made: int, place: Place) -> None:
    """The kernel does not mount a btrfs larger than its device."""
    if made > place.size:
        raise StageError(
            f"mkfs.btrfs makes this content {sizes.human(made)} large: {sizes.human(made - place.size)} more than "
            "there is for it",
            f"make it {-(-made // MIB)} MiB or larger, or leave its size out",
        )


def _rootdir(spec: FsSpec, stack: ExitStack, nodes: dict[bytes, Device]) -> str:
    """The directory for mkfs.btrfs, which writes files in the order in which directories are listed.

    The placeholders of device nodes in it, empty files, are added to `nodes`.
    """
    if not spec.file_system.subvolumes:
        top = _content(spec, spec.file_system.mountpoint, stack)
        _add_devices(spec, spec.file_system.mountpoint, top, nodes)
        return top
    found = _version()
    if found < SUBVOLUMES:
        raise StageError(
            f"mkfs.btrfs of btrfs-progs {'.'.join(map(str, found))} cannot make subvolumes in a file",
            "btrfs-progs 6.12 or newer can (Debian 13, Fedora 42): use a build root that has it, or leave them out",
        )
    top = os.path.join(spec.work, "top")
    os.mkdir(top)
    stack.enter_context(tree_parts.mounted(["-t", "tmpfs", "-o", "mode=0755,nosuid,nodev", "top"], top))
    for volume in sorted(spec.file_system.subvolumes, key=lambda volume: volume.name):
        target = os.path.join(top, volume.name.lstrip("/"))
        os.makedirs(target, exist_ok=True)
        stack.enter_context(tree_parts.bound(_content(spec, volume.mountpoint, stack), target))
        _add_devices(spec, volume.mountpoint, target, nodes)
    os.utime(top, (spec.epoch, spec.epoch))
    return top


def _add_devices(spec: FsSpec, point: str | None, shown: str, nodes: dict[bytes, Device]) -> None:
    if point is not None:
        found = devices.placeholders(spec.contents[point].path)
        nodes.update({os.fsencode(shown + path): device for path, device in found.items()})


def _content(spec: FsSpec, point: str | None, stack: ExitStack) -> str:
    if point is None:
        return spec.content
    wanted = labels.of_tree(spec.tree, point)
    work = os.path.join(spec.work, f"content-{len(os.listdir(spec.work))}")
    os.mkdir(work)
    path = spec.contents[point].path
    # Before 6.12 mkfs.btrfs copies the inode numbers of the source.
    numbered = labelled_view.copied if _version() < SUBVOLUMES else labelled_view.shown
    try:
        return stack.enter_context(numbered(path, wanted, work))
    except StageError as error:
        if wanted or devices.placeholders(path):
            raise
        print(f"note: where files are in the btrfs depends on this machine's order of directories: {error.message}")
        return path


def _version() -> tuple[int, ...]:
    return tools.version("mkfs.btrfs")
