"""What a file is, by its first bytes and its last."""

from osbuild_compose.inspecting.area import Area

# Programs that undo what a file begins with, and how such files are called.
COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
SUFFIXES = {"gzip": "gz", "xz": "xz", "zstd": "zst"}
# What QEMU calls the formats of disks, by what stands where.
_DISKS = ((0, b"QFI\xfb", "qcow2"), (0, b"KDMV", "vmdk"), (0, b"vhdxfile", "vhdx"), (64, b"\x7f\x10\xda\xbe", "vdi"))
_VHD = b"conectix"
_CPIO = (b"070701", b"070702")


def compression(area: Area) -> str | None:
    """The program that decompresses it, if it is compressed."""
    head = area.read(0, 8)
    return next((program for magic, program in COMPRESSIONS.items() if head.startswith(magic)), None)


def disk(area: Area) -> str | None:
    """The format of a virtual disk, as the blueprint and QEMU call it; None for what is none, or a raw one."""
    for offset, magic, name in _DISKS:
        if area.read(offset, len(magic)) == magic:
            return name
    return "vpc" if area.read(area.size - 512, 8) == _VHD else None


def is_description(area: Area) -> bool:
    """Whether it is the text that VMware keeps beside the disks that it describes."""
    return area.read(0, 22) == b"# Disk DescriptorFile\n"


def archive(area: Area) -> str | None:
    """ "tar" or "cpio", None for what is none of them."""
    if area.read(257, 5) == b"ustar":
        return "tar"
    return "cpio" if area.read(0, 6) in _CPIO else None
