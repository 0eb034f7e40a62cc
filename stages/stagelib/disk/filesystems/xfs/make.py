"""Making an XFS from a directory: by mkfs.xfs alone from xfsprogs 6.17 on, otherwise with the package `writer`."""

import os
import struct
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from stagelib import devices
from stagelib.disk import crc32c, labelled_view, sizes, sparse_copy, sparse_scan, swap_files, tools
from stagelib.disk.filesystems.xfs.writer import inodes
from stagelib.disk.filesystems.xfs.writer.fill import does_not_fit, fill
from stagelib.disk.planner import Place
from stagelib.disk.sizes import BLOCK
from stagelib.errors import StageError

FILLS = (6, 17)  # the first mkfs.xfs whose -p takes a directory

# The same features whatever the tools' defaults are: what Linux 5.10 and GRUB 2.06 can read. -K: nothing to discard.
FEATURES = ["-K", "-m", "crc=1,finobt=1,rmapbt=0,reflink=1,bigtime=1,inobtcount=1", "-n", "ftype=1"]
INODES = "size=512,sparse=1"
# Options that turn off new features.
SINCE = {(5, 19): ["-i", "nrext64=0"], (6, 10): ["-i", "exchange=0", "-n", "parent=0"]}
# What mkfs.xfs would draw at random: generations of inodes, for one.
DETERMINISTIC = {"DETERMINISTIC_SEED": "1"}


def make(
    image: str,
    tree: str,
    place: Place,
    *,
    fs_uuid: str,
    epoch: int,
    labels: Callable[[], Mapping[str, str]],
    work: str,
    label: str = "",
    sector: int = 512,
) -> None:
    """Make an XFS in `place` of the file `image` (zeroes there) that holds `tree`.

    labels returns the SELinux labels by path, as labels.in_background() does; label is the file system's own. work: a
    directory for scratch files; sector: bytes in a sector of the disk. Raises StageError when the tree does
    not fit, or has a file that XFS cannot hold.
    """
    area = os.path.join(work, "xfs")
    with open(area, "wb") as file:
        file.truncate(place.size // BLOCK * BLOCK)
    version = tools.version("mkfs.xfs", "-V")
    argv = ["mkfs.xfs", "-q", *FEATURES, "-m", f"uuid={fs_uuid}", "-s", f"size={sector}", "-i", INODES]
    argv += [word for since, words in SINCE.items() if version >= since for word in words]
    argv += ["-L", label] if label else []
    with ExitStack() as stack:
        content = _ordered(tree, labels(), work, stack) if version >= FILLS else None
        if content is not None:
            _fill(argv, area, content, epoch)
            sparse_copy.dig_holes(area)
            sparse_copy.copy_into(area, image, place)
            os.unlink(area)
            return
    tools.run([*argv, area])
    with open(image, "r+b") as file:
        # Without the zeroes of the log, which mkfs.xfs writes.
        with open(area, "rb") as source:
            for at, part in sparse_scan.data_parts(source.fileno(), BLOCK):
                file.seek(place.start + at)
                file.write(part)
        os.unlink(area)
        fill(file, place.start, tree, epoch=epoch, labels=labels())


def _ordered(tree: str, wanted: Mapping[str, str], work: str, stack: ExitStack) -> str | None:
    """The view of the tree for mkfs.xfs, labelled and sorted; None when mkfs.xfs cannot copy the tree."""
    if obstacle := _obstacle(tree):
        print(f"note: mkfs.xfs cannot copy {obstacle}, so the file system is filled without it", flush=True)
        return None
    try:
        return stack.enter_context(labelled_view.shown(tree, wanted, work))
    except StageError as error:
        print(f"note: the file system is filled without mkfs.xfs: {error.message}", flush=True)
        return None


def _obstacle(tree: str) -> str:
    """The file that mkfs.xfs 7.2 cannot copy; "": none.

    It opens device nodes, copies their placeholders as files, and turns ACLs into user attributes.
    """
    for above, directories, names in os.walk(os.fsencode(tree)):
        directories.sort()
        for path in (above, *(os.path.join(above, name) for name in (*directories, *names))):
            if swap_files.is_swap_file(path, os.lstat(path)):
                return f"the swap file {_inside(tree, path)} without holes"
            if devices.of_file(path, os.lstat(path)):
                return f"the device node {_inside(tree, path)}"
            if any(name.startswith("system.") for name in os.listxattr(path, follow_symlinks=False)):
                return f"the ACL of {_inside(tree, path)}"
    return ""


def _inside(tree: str, path: bytes) -> str:
    return os.fsdecode(path).removeprefix(tree.rstrip("/")) or "/"


def _fill(argv: list[str], area: str, content: str, epoch: int) -> None:
    """Have mkfs.xfs make a file system that holds `content`; all times but those of modification are `epoch`."""
    try:
        tools.run([*argv, "-p", content, area], env={**DETERMINISTIC, "SOURCE_DATE_EPOCH": str(epoch)})
    except tools.ToolError as error:
        if "error allocating space" not in error.output:
            raise
        raise does_not_fit(content, f"the file system is {sizes.human(os.path.getsize(area))} large") from None
    _set_root_time(area, os.stat(content).st_mtime_ns)


def _set_root_time(area: str, modified: int) -> None:
    """Give the root directory its time of modification, in ns since 1970: mkfs.xfs gives it the epoch."""
    with open(area, "r+b") as file:
        superblock = file.read(512)
        (root,) = struct.unpack_from(">Q", superblock, 56)
        at = (root >> 3) * BLOCK + (root & 7) * inodes.SIZE  # it is in the first allocation group
        file.seek(at)
        inode = bytearray(file.read(inodes.SIZE))
        struct.pack_into(">Q", inode, 40, modified - inodes.FIRST_TIME * 10**9)
        struct.pack_into("<I", inode, inodes.CHECKSUM, 0)
        struct.pack_into("<I", inode, inodes.CHECKSUM, crc32c.crc32c(bytes(inode)))
        file.seek(at)
        file.write(inode)
