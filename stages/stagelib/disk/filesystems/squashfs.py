"""squashfs: compressed and read-only."""

import os

from stagelib.disk import sparse_copy, tools
from stagelib.disk.filesystems.fs_spec import FsSpec
from stagelib.disk.planner import Place

COMPRESSION = "zstd"
ZSTD_LEVEL = 9  # mksquashfs' own default of 15 takes four times as long for 3 % less


def need(job: FsSpec, _free: int) -> int:
    """Its size; makes it to know."""
    path = _file(job)
    with job.labelled() as content:
        pack(content, path, job.epoch, job.spec.compression or COMPRESSION)
    return os.path.getsize(path)


def make(job: FsSpec, image: str, place: Place) -> None:
    """Copy what need() made to `place` of the file `image`."""
    sparse_copy.put(_file(job), image, place)
    os.unlink(_file(job))


def pack(tree: str, path: str, epoch: int, compression: str = COMPRESSION) -> None:
    """Make a squashfs of `tree` in the new file `path`, made at `epoch` (seconds since 1970).

    compression: gzip, lzo, lz4, xz or zstd, as far as mksquashfs was built with it.
    """
    _tell_acls(tree)
    argv = ["mksquashfs", tree, path, "-noappend", "-no-progress", "-quiet", "-comp", compression, "-xattrs"]
    if compression == "zstd":
        argv += ["-Xcompression-level", str(ZSTD_LEVEL)]
    # SOURCE_DATE_EPOCH would change files' times, too.
    tools.run([*argv, "-no-recovery", "-mkfs-time", str(epoch)], env={"SOURCE_DATE_EPOCH": None})


def _tell_acls(tree: str) -> None:
    """Squashfs has no ACLs: say which files lose theirs."""
    lost = [
        os.fsdecode(os.path.join(above, name)).removeprefix(tree)
        for above, directories, files in os.walk(os.fsencode(tree))
        for name in (*directories, *files)
        if any(
            one.startswith("system.posix_acl") for one in os.listxattr(os.path.join(above, name), follow_symlinks=False)
        )
    ]
    if lost:
        print(f"note: squashfs has no ACLs, those of {len(lost)} files are left out: {', '.join(lost[:5])}", flush=True)


def _file(job: FsSpec) -> str:
    return os.path.join(job.work, f"{job.spec.uuid}.squashfs")
