"""The format of an image file, and the firmware that can boot it."""

import stat
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from osbuild_compose.firmware import Firmware

# Offset and bytes of each format's signature; a fixed VHD has its own at the end.
SIGNATURES = (
    ("qcow2", 0, b"QFI\xfb"),
    ("vmdk", 0, b"KDMV"),
    ("vhdx", 0, b"vhdxfile"),
    ("vdi", 0x40, b"\x7f\x10\xda\xbe"),
)
VPC_FOOTER = 512
VPC = b"conectix"
XZ = b"\xfd7zXZ\0"

BOOT_CODE = 440  # bytes at the start of a disk that BIOS executes
GPT = b"EFI PART"
SECTORS = (512, 4096)  # the header of a GPT is in the second one
HEAD = 8192  # bytes of a disk that are enough to decide


@dataclass(frozen=True)
class Disk:
    """The firmware that can boot a disk, and the size of its sectors in bytes."""

    firmware: Firmware
    sector: int


def format_of(image: Path) -> str:
    """QEMU's name for the format of the file `image`; "raw" when no other is recognised.

    Raises OSError when the file cannot be read, ValueError when it is compressed as a whole.
    """
    kind = image.stat().st_mode
    if not (stat.S_ISREG(kind) or stat.S_ISBLK(kind) or stat.S_ISDIR(kind)):
        raise ValueError(f"{image} is not a file")
    with image.open("rb") as file:
        head = file.read(512)
        size = file.seek(0, 2)
        file.seek(max(0, size - VPC_FOOTER))
        tail = file.read(len(VPC))
    if head.startswith(XZ):
        raise ValueError(f"{image} is compressed with xz: unpack it before booting it")
    for name, offset, signature in SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return name
    return "vpc" if VPC in (tail, head[: len(VPC)]) else "raw"


def disk_of(image: Path) -> Disk:
    """How the disk in the file `image` boots: with BIOS if it has code for that, otherwise with UEFI.

    Raises OSError and ValueError as format_of does, and OSError when qemu-img, which reads all formats but raw, is not
    installed.
    """
    head = _head(image)
    sector = next((size for size in SECTORS if head[size : size + len(GPT)] == GPT), SECTORS[0])
    return Disk(Firmware.BIOS if any(head[:BOOT_CODE]) else Firmware.UEFI, sector)


def _head(image: Path) -> bytes:
    kind = format_of(image)
    if kind == "raw":
        with image.open("rb") as file:
            return file.read(HEAD)
    with tempfile.NamedTemporaryFile() as raw:
        argv = ["qemu-img", "dd", "-f", kind, "-O", "raw", f"bs={HEAD}", "count=1", f"if={image}", f"of={raw.name}"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ValueError(f"qemu-img cannot read {image}: {done.stderr.strip()}")
        return Path(raw.name).read_bytes()
