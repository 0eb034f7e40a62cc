"""Swap space: a header in its first page, as mkswap writes it."""

import os

from stagelib.disk import sparse_copy, tools
from stagelib.disk.filesystems.fs_spec import FsSpec
from stagelib.disk.planner import Place
from stagelib.disk.sizes import MIB


def need(_job: FsSpec, _free: int) -> int:
    """The least that mkswap takes, in whole MiB."""
    return MIB


def make(job: FsSpec, image: str, place: Place) -> None:
    """Make a swap space in `place` of the file `image`."""
    area = os.path.join(job.work, "swap")
    with open(area, "wb") as file:
        file.truncate(place.size)
    argv = ["mkswap", "--pagesize", "4096", "--uuid", job.spec.uuid]
    argv += ["--label", job.spec.label] if job.spec.label else []
    os.chmod(area, 0o600)  # or mkswap warns
    tools.run([*argv, area])
    sparse_copy.put(area, image, place)
    os.unlink(area)
