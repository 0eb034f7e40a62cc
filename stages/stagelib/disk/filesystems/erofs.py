"""EROFS: read-only, made to be read fast."""

import os

from stagelib.disk import sparse_copy, tools
from stagelib.disk.filesystems.fs_spec import FsSpec
from stagelib.disk.planner import Place
from stagelib.errors import StageError

LONGEST = 255  # bytes in a name, NAME_MAX


def need(job: FsSpec, _free: int) -> int:
    """Its size; makes it to know."""
    path = _file(job)
    with job.labelled() as content:
        pack(content, path, fs_uuid=job.spec.uuid, epoch=job.epoch, compression=job.spec.compression)
    sparse_copy.dig(path)
    return os.path.getsize(path)


def make(job: FsSpec, image: str, place: Place) -> None:
    """Copy what need() made to `place` of the file `image`."""
    sparse_copy.put(_file(job), image, place)
    os.unlink(_file(job))


def pack(tree: str, path: str, *, fs_uuid: str, epoch: int, compression: str | None = None) -> None:
    """Make an EROFS of `tree` in the new file `path`; all times are `epoch`, which is all that older ones can.

    compression: lz4 or lz4hc; None for none.
    """
    argv = ["mkfs.erofs", "-U", fs_uuid, "-T", str(epoch), "--quiet"]
    argv += [f"-z{compression}"] if compression else []
    try:
        tools.run([*argv, path, tree])
    except tools.ToolError:
        long = next(
            (name for _, *both in os.walk(tree) for names in both for name in names if _length(name) == LONGEST), None
        )
        if long is None:
            raise
        raise StageError(
            f"mkfs.erofs cannot hold a name of {LONGEST} bytes: {long}", "erofs-utils 1.6 and newer can; or shorten it"
        ) from None


def _length(name: str) -> int:
    return len(os.fsencode(name))


def _file(job: FsSpec) -> str:
    return os.path.join(job.work, f"{job.spec.uuid}.erofs")
