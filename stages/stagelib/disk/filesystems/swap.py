"""Make swap space with mkswap."""

import os

from stagelib.disk import sparse_copy, tools
from stagelib.disk.filesystems.fs_spec import FsSpec
from stagelib.disk.planner import Place
from stagelib.disk.sizes import MIB


def need(_spec: FsSpec, _free: int) -> int:
    """The least size that mkswap accepts, in whole MiB."""
    return MIB


def make(spec: FsSpec, image: str, place: Place) -> None:
    """Make a swap space in `place` of the file `image`."""
    area = os.path.join(spec.work, "swap")
    with open(area, "wb") as file:
        file.truncate(place.size)
    argv = ["mkswap", "--pagesize", "4096", "--uuid", spec.file_system.uuid]
    argv += ["--label", spec.file_system.label] if spec.file_system.label else []
    os.chmod(area, 0o600)  # or mkswap warns
    tools.run([*argv, area])
    sparse_copy.copy_into(area, image, place)
    os.unlink(area)
