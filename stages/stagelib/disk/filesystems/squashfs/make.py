"""Make a squashfs, a compressed read-only file system, with mksquashfs."""

import os

from stagelib.disk import sparse_copy, tools
from stagelib.disk.filesystems.fs_spec import FsSpec
from stagelib.disk.filesystems.squashfs import device_nodes
from stagelib.disk.labelled_view import View
from stagelib.disk.planner import Place

COMPRESSION = "zstd"
ZSTD_LEVEL = 9  # mksquashfs' own default of 15 takes four times as long for 3 % less


def need(spec: FsSpec, _free: int) -> int:
    """Its size, known only after making it."""
    path = _file(spec)
    with spec.labelled() as content:
        pack(content, path, spec.epoch, spec.file_system.compression or COMPRESSION)
    return os.path.getsize(path)


def make(spec: FsSpec, image: str, place: Place) -> None:
    """Copy the file system from need() to `place` of the file `image`."""
    sparse_copy.copy_into(_file(spec), image, place)
    os.unlink(_file(spec))


def pack(content: View, path: str, epoch: int, compression: str = COMPRESSION) -> None:
    """Make a squashfs of `content` in the new file `path`, with `epoch` (seconds since 1970) as its creation time.

    compression: gzip, lzo, lz4, xz or zstd, if mksquashfs was built with it.
    """
    _log_lost_acls(content.path)
    argv = ["mksquashfs", content.path, path, "-noappend", "-no-progress", "-quiet", "-comp", compression, "-xattrs"]
    if compression == "zstd":
        argv += ["-Xcompression-level", str(ZSTD_LEVEL)]
    argv += ["-noI"] if content.devices else []  # inodes and directories are changed afterwards
    # SOURCE_DATE_EPOCH would also change files' times.
    tools.run([*argv, "-no-recovery", "-mkfs-time", str(epoch)], env={"SOURCE_DATE_EPOCH": None})
    if content.devices:
        device_nodes.set_numbers(path, content.devices)


def _log_lost_acls(tree: str) -> None:
    """Squashfs has no ACLs: log which files lose theirs."""
    lost = [
        os.fsdecode(os.path.join(above, name)).removeprefix(tree)
        for above, directories, files in os.walk(os.fsencode(tree))
        for name in (*directories, *files)
        if any(
            one.startswith("system.posix_acl") for one in os.listxattr(os.path.join(above, name), follow_symlinks=False)
        )
    ]
    if lost:
        print(f"note: squashfs has no ACLs, {len(lost)} files lose theirs: {', '.join(lost[:5])}", flush=True)


def _file(spec: FsSpec) -> str:
    return os.path.join(spec.work, f"{spec.file_system.uuid}.squashfs")
