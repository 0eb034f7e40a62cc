"""What kind of image a file is."""

from pathlib import Path

# Where each format's signature lies; a fixed VHD has its own at the end.
SIGNATURES = (
    ("qcow2", 0, b"QFI\xfb"),
    ("vmdk", 0, b"KDMV"),
    ("vhdx", 0, b"vhdxfile"),
    ("vdi", 0x40, b"\x7f\x10\xda\xbe"),
)
VPC_FOOTER = 512
VPC = b"conectix"
XZ = b"\xfd7zXZ\0"


def format_of(image: Path) -> str:
    """QEMU's name for the format of the file `image`; "raw" when no other is recognised.

    Raises OSError when the file cannot be read, ValueError when it is compressed as a whole.
    """
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
