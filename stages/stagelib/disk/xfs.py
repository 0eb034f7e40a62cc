"""XFS filled from a tree without mounting it."""

import os
import re

from stagelib.disk import labels, tools
from stagelib.disk.errors import ImageError
from stagelib.disk.sizes import MIB

POPULATES = (6, 17)  # the first xfsprogs whose mkfs.xfs -p takes a directory
LEAST = 300 * MIB  # what mkfs.xfs 5.19 and newer take at least


def make(image: str, tree: str, *, fs_uuid: str, epoch: int, label: str = "", sector: int = 512) -> None:
    """Make an XFS that fills the file `image` and holds `tree`; needs xfsprogs 6.17 unless the tree is empty.

    Raises ImageError with an older one: its protofiles know neither extended attributes nor hard links nor times.
    And for a tree that is to be labelled: labels are taken from files only, and those have none.
    """
    labels.refuse(tree, "XFS")
    argv = ["mkfs.xfs", "-q", "-m", f"uuid={fs_uuid}", "-s", f"size={sector}"]
    argv += ["-L", label] if label else []
    if os.listdir(tree):
        found = version(tools.run(["mkfs.xfs", "-V"]))
        if found < POPULATES:
            raise ImageError(
                f"mkfs.xfs of xfsprogs {'.'.join(map(str, found))} cannot fill a file system from a directory",
                "xfsprogs 6.17 or newer can: use a build root that has it (Fedora 43), or ext4",
            )
        argv += ["-p", tree]
    tools.run([*argv, image], env={"SOURCE_DATE_EPOCH": str(epoch), "DETERMINISTIC_SEED": "1"})


def version(said: str) -> tuple[int, ...]:
    """The version in what mkfs.xfs -V printed: "mkfs.xfs version 6.1.0" is (6, 1, 0)."""
    match = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", said)
    if match is None:
        raise ImageError(f"mkfs.xfs -V printed no version: {said.strip()}")
    return tuple(int(part) for part in match.groups() if part is not None)
