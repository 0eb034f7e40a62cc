"""EROFS: read-only, made to be read fast."""

import os

from stagelib.disk import sparse, tools
from stagelib.disk.errors import ImageError
from stagelib.disk.fs_job import Job
from stagelib.disk.planner import Place

LONGEST = 255  # bytes in a name, NAME_MAX


def need(job: Job, _free: int) -> int:
    """Its size; makes it to know."""
    path = _file(job)
    with job.labelled() as content:
        pack(content, path, fs_uuid=job.spec.uuid, epoch=job.epoch, compression=job.spec.compression)
    sparse.dig(path)
    return os.path.getsize(path)


def make(job: Job, image: str, place: Place) -> None:
    """Copy what need() made to `place` of the file `image`."""
    sparse.put(_file(job), image, place)
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
        raise ImageError(
            f"mkfs.erofs cannot hold a name of {LONGEST} bytes: {long}", "erofs-utils 1.6 and newer can; or shorten it"
        ) from None


def _length(name: str) -> int:
    return len(os.fsencode(name))


def _file(job: Job) -> str:
    return os.path.join(job.work, f"{job.spec.uuid}.erofs")
