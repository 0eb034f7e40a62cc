"""EROFS: read-only, made to be read fast."""

import os

from stagelib.disk import sparse, tools
from stagelib.disk.fs_job import Job
from stagelib.disk.planner import Place


def need(job: Job, _free: int) -> int:
    """Its size; makes it to know."""
    job.refuse_labels()
    path = _file(job)
    pack(job.content, path, fs_uuid=job.spec.uuid, epoch=job.epoch, compression=job.spec.compression)
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
    tools.run([*argv, path, tree])


def _file(job: Job) -> str:
    return os.path.join(job.work, f"{job.spec.uuid}.erofs")
