"""The partition table."""

import re
from dataclasses import dataclass

from stagelib.disk import tools
from stagelib.disk.errors import ImageError
from stagelib.disk.sizes import BLOCK, MIB, human

SECTOR = 512
FIRST = 2048  # sectors: the usual 1 MiB, whose gap after the MBR holds GRUB's core image

_ID = re.compile(r"(?:0x)?([0-9a-fA-F]{8})(?:-[0-9a-fA-F]{4}){0,3}(?:-[0-9a-fA-F]{12})?")


@dataclass(frozen=True)
class Partition:
    """Where a partition lies in the image: `start` and `size` in bytes."""

    start: int
    size: int


def disk_id(ptuuid: str) -> int:
    """The 32-bit identifier of a DOS partition table from "0x14fc63d2", "14fc63d2" or a UUID's first 8 digits."""
    match = _ID.fullmatch(ptuuid)
    if match is None:
        raise ImageError(f"ptuuid '{ptuuid}' is not a disk identifier", 'write it like "0x14fc63d2", or a UUID')
    return int(match[1], 16)


def write_dos(image: str, ptuuid: str, size: int) -> Partition:
    """Write a DOS partition table with one bootable Linux partition, from 1 MiB to the end, to the file `image`.

    image has `size` bytes already. Raises ImageError when the disk is too small for it.
    """
    partition = Partition(FIRST * SECTOR, (size - FIRST * SECTOR) // BLOCK * BLOCK)
    if partition.size < MIB:
        raise ImageError(f"a disk of {human(size)} is too small for a partition table and a file system")
    script = f"label: dos\nlabel-id: {disk_id(ptuuid):#010x}\n"
    script += f"start={FIRST}, size={(size - partition.start) // SECTOR}, type=83, bootable\n"
    tools.run(["sfdisk", "--quiet", "--no-tell-kernel", "--no-reread", "--wipe=never", image], stdin=script)
    return partition
