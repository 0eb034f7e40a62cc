"""Making an XFS."""

import os
import re
from collections.abc import Callable, Mapping

from stagelib.disk import sparse_scan, tools
from stagelib.disk.filesystems.xfs.writer.fill import fill
from stagelib.disk.planner import Place
from stagelib.disk.sizes import BLOCK
from stagelib.errors import StageError

# The same features whatever the tools' defaults are: what Linux 5.10 and GRUB 2.06 can read. -K: nothing to discard.
FEATURES = ["-K", "-m", "crc=1,finobt=1,rmapbt=0,reflink=1,bigtime=1,inobtcount=1", "-n", "ftype=1"]
INODES = "size=512,sparse=1"
SINCE = {(5, 19): ["-i", "nrext64=0"], (6, 10): ["-i", "exchange=0", "-n", "parent=0"]}  # options to turn off the new


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

    labels gives the SELinux labels by path, as labels.beside() does; label is the file system's own. work: a directory
    for scratch files; sector: bytes in a sector of the disk. Raises StageError when the tree does not fit, or has a
    file that XFS cannot hold.
    """
    empty = os.path.join(work, "xfs")
    with open(empty, "wb") as file:
        file.truncate(place.size // BLOCK * BLOCK)
    found = version(tools.run(["mkfs.xfs", "-V"]))
    argv = ["mkfs.xfs", "-q", *FEATURES, "-m", f"uuid={fs_uuid}", "-s", f"size={sector}", "-i", INODES]
    argv += [word for since, words in SINCE.items() if found >= since for word in words]
    argv += ["-L", label] if label else []
    tools.run([*argv, empty])
    with open(image, "r+b") as file:
        # Without the zeroes of the log, which mkfs.xfs writes.
        with open(empty, "rb") as source:
            for at, part in sparse_scan.data_parts(source.fileno(), BLOCK):
                file.seek(place.start + at)
                file.write(part)
        os.unlink(empty)
        fill(file, place.start, tree, epoch=epoch, labels=labels())


def version(said: str) -> tuple[int, ...]:
    """The version in what mkfs.xfs -V printed: "mkfs.xfs version 6.1.0" is (6, 1, 0)."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", said)
    if match is None:
        raise StageError(f"mkfs.xfs -V printed no version: {said.strip()}")
    return tuple(int(part) for part in match.groups() if part is not None)
