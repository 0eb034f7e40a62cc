"""btrfs filled from a tree without mounting it.

mkfs.btrfs draws the identifiers of the device, the chunk tree and the top subvolume at random and stamps its own times,
so two runs differ in metadata; files and everything about them are the same.
"""

import os
import re
from contextlib import ExitStack

from stagelib.disk import contents, labels, sparse, tools
from stagelib.disk.errors import ImageError
from stagelib.disk.fs_job import Job
from stagelib.disk.planner import Place
from stagelib.disk.sizes import MIB

SUBVOLUMES = (6, 12)  # the first btrfs-progs whose --rootdir makes subvolumes
LEAST = 256 * MIB  # below, mkfs.btrfs refuses, or leaves no room for metadata


def need(job: Job, free: int) -> int:
    """Bytes of a btrfs with the content and `free` bytes on top; metadata twice, as mkfs.btrfs makes it."""
    labels.refuse(job.tree, "btrfs")
    content = job.size()
    metadata = content.inodes * 1024 + content.data // 512
    return max(LEAST, content.data + 2 * metadata + free + 128 * MIB)


def make(job: Job, image: str, place: Place) -> None:
    """Make a btrfs in `place` of the file `image`. Raises ImageError when the tools are too old for subvolumes."""
    area = os.path.join(job.work, "btrfs")
    with open(area, "wb") as file:  # noqa: PTH123
        file.truncate(place.size)
    argv = ["mkfs.btrfs", "-q", "-f", "-U", job.spec.uuid, "--sectorsize", "4096"]
    argv += ["-L", job.spec.label] if job.spec.label else []
    argv += [word for volume in job.spec.subvolumes for word in ("--subvol", volume.name.lstrip("/"))]
    with ExitStack() as stack:
        argv += ["--rootdir", _rootdir(job, stack)]
        tools.run([*argv, area], env={"SOURCE_DATE_EPOCH": str(job.epoch)})
    os.truncate(area, place.size)
    sparse.dig(area)
    sparse.put(area, image, place)
    os.unlink(area)


def _rootdir(job: Job, stack: ExitStack) -> str:
    if not job.spec.subvolumes:
        return job.content
    found = version(tools.run(["mkfs.btrfs", "--version"]))
    if found < SUBVOLUMES:
        raise ImageError(
            f"mkfs.btrfs of btrfs-progs {'.'.join(map(str, found))} cannot make subvolumes in a file",
            "btrfs-progs 6.12 or newer can (Debian 13, Fedora 42): use a build root that has it, or leave them out",
        )
    top = os.path.join(job.work, "top")
    os.mkdir(top)
    for volume in job.spec.subvolumes:
        target = os.path.join(top, volume.name.lstrip("/"))
        os.makedirs(target, exist_ok=True)
        stack.enter_context(contents.bound(job.contents[volume.mountpoint].path, target))
    return top


def version(said: str) -> tuple[int, ...]:
    """The version in what mkfs.btrfs --version printed: "mkfs.btrfs, part of btrfs-progs v6.2" is (6, 2)."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", said)
    if match is None:
        raise ImageError(f"mkfs.btrfs --version printed no version: {said.strip()}")
    return tuple(int(part) for part in match.groups() if part is not None)
