"""Formats of image files: recognising them, decompressing, and converting virtual disks to raw ones."""

import json
import os
from typing import Any

from osbuild_compose.inspecting.extent import Extent
from osbuild_compose.inspecting.tools import IMAGE, OUT, ToolError, Tools

# Programs that decompress, by the first bytes of what they decompress, and the suffixes of such files.
COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
SUFFIXES = {"gzip": "gz", "xz": "xz", "zstd": "zst"}
# Offset, magic number and QEMU's name of the formats of virtual disks.
_DISKS = ((0, b"QFI\xfb", "qcow2"), (0, b"KDMV", "vmdk"), (0, b"vhdxfile", "vhdx"), (64, b"\x7f\x10\xda\xbe", "vdi"))
_VHD = b"conectix"
_CPIO = (b"070701", b"070702")
_MAX_DISK_SIZE = 64 * 1024**4  # bytes; a damaged image may claim much more, all of which would be searched


def compression(extent: Extent) -> str | None:
    """The program that decompresses it ("gzip", "xz", "zstd"); None if it is not compressed."""
    head = extent.read(0, 8)
    return next((program for magic, program in COMPRESSIONS.items() if head.startswith(magic)), None)


def disk_format(extent: Extent) -> str | None:
    """The format of a virtual disk, as blueprints and QEMU call it; None if it is raw, or no disk."""
    for offset, magic, name in _DISKS:
        if extent.read(offset, len(magic)) == magic:
            return name
    return "vpc" if extent.read(extent.size - 512, 8) == _VHD else None


def is_disk_descriptor(extent: Extent) -> bool:
    """Whether it is a VMDK descriptor: a text that refers to the files with the content."""
    return extent.read(0, 22) == b"# Disk DescriptorFile\n"


def archive_format(extent: Extent) -> str | None:
    """The format of an archive, "tar" or "cpio"; None if it is neither."""
    if extent.read(257, 5) == b"ustar":
        return "tar"
    return "cpio" if extent.read(0, 6) in _CPIO else None


def decompress(extent: Extent, program: str, tools: Tools) -> Extent:
    """The decompressed content in a sparse file. Raises ToolError if it is damaged or cut off."""
    target = tools.new_file()
    size = 0
    with target.open("r+b") as file:

        def write(chunk: bytes) -> None:
            nonlocal size
            if chunk.count(0) != len(chunk):
                os.pwrite(file.fileno(), chunk, size)
            size += len(chunk)

        result = tools.run([program, "-dc", IMAGE], extent.as_file(tools), sink=write)
        file.truncate(size)
    if result.status != 0:
        raise ToolError(f"it is damaged or cut off: {result.reason}")
    return Extent.whole(target)


def disk_size(extent: Extent, image_format: str, tools: Tools) -> int:
    """The disk's size in bytes, as a virtual machine sees it. Raises ToolError if part of it is in another file."""
    info = _info(extent, image_format, tools)
    base = info.get("backing-filename") or info.get("full-backing-filename")
    if base:
        raise ToolError(f"it only holds the differences from {base}", "merge both: qemu-img convert -O qcow2")
    if info.get("encrypted"):
        raise ToolError("it is encrypted")
    size: int = info["virtual-size"]
    if size > _MAX_DISK_SIZE:
        raise ToolError(f"its disk claims to have {size} bytes; more than {_MAX_DISK_SIZE} are not supported")
    return size


def as_raw(extent: Extent, image_format: str, tools: Tools) -> Extent:
    """A sparse raw disk with the same content. Raises ToolError if it cannot be read."""
    out = tools.new_directory()
    argv = ["qemu-img", "convert", "-f", image_format, "-O", "raw", "-S", "4k", IMAGE, f"{OUT}/disk"]
    result = tools.run(argv, extent.as_file(tools), out)
    if result.status != 0:
        raise ToolError(f"it is damaged or cut off: {result.reason.removeprefix('qemu-img: ')}")
    return Extent.whole(out / "disk")


def _info(extent: Extent, image_format: str, tools: Tools) -> dict[str, Any]:
    argv = ["qemu-img", "info", "-f", image_format, "--output=json", IMAGE]
    result = tools.run(argv, extent.as_file(tools))
    if result.status != 0:
        raise ToolError(f"it is damaged or cut off: {result.reason.removeprefix('qemu-img: ')}")
    info: dict[str, Any] = json.loads(result.stdout)
    return info
