"""LUKS2 in a plain file by cryptsetup(8): the content is written to a file, which is encrypted in place.

cryptsetup does this without device-mapper and privileges. Keys and salts are random, as they must be: no two images are
the same, whatever the passphrase.
"""

import os
from dataclasses import dataclass, field

from stagelib.disk import layout, sparse_copy, tools
from stagelib.disk.partition_content import PartitionContent
from stagelib.disk.planner import Place
from stagelib.disk.sizes import MIB
from stagelib.disk.types import LUKS_HEADER
from stagelib.errors import StageError

# The second recommendation of RFC 9106, with cryptsetup's least count: given, or it would follow from how fast this
# machine is. A machine of 512 MiB can still open it.
HARDNESS = ("--pbkdf=argon2id", "--pbkdf-memory=65536", "--pbkdf-parallel=4", "--pbkdf-force-iterations=4")


@dataclass(frozen=True)
class Encrypted(PartitionContent):
    """The content of an encrypted partition; work is a directory for scratch files, sector the disk's sector size."""

    inner: PartitionContent
    luks: layout.Luks
    passphrase: str = field(repr=False)
    work: str
    sector: int

    def minimum(self) -> int:
        return self.inner.minimum() + LUKS_HEADER

    def need(self, free: int) -> int:
        return self.inner.need(free) + LUKS_HEADER

    def largest(self) -> list[str]:
        return self.inner.largest()

    def write(self, image: str, place: Place) -> None:
        if place.size <= LUKS_HEADER:
            raise StageError(f"an encrypted partition needs {LUKS_HEADER // MIB} MiB in addition to its content")
        path = os.path.join(self.work, "encrypted")
        with open(path, "wb") as file:
            file.truncate(place.size)
        self.inner.write(path, Place(0, place.size - LUKS_HEADER))
        argv = ["cryptsetup", "reencrypt", "--encrypt", "--type=luks2", "--batch-mode", f"--uuid={self.luks.uuid}"]
        argv += [f"--reduce-device-size={LUKS_HEADER}", "--cipher=aes-xts-plain64", "--key-size=512", *HARDNESS]
        argv += [f"--sector-size={self.sector}", "--key-file=-", path]
        tools.run(argv, stdin=self.passphrase, cwd=self.work)  # it creates a file in its working directory
        sparse_copy.copy_into(path, image, place)
        os.unlink(path)
