"""The file system in an extent: type, UUID and label by blkid, size and used space by its superblock."""

import re
import struct
from dataclasses import dataclass

from osbuild_compose.inspecting.extent import Extent
from osbuild_compose.inspecting.tools import IMAGE, ToolError, Tools

_AMBIVALENT = 8  # blkid's exit status if several file systems match
_EXT = ("ext2", "ext3", "ext4")


@dataclass(frozen=True)
class FileSystem:
    """A file system, or other content of a partition. size and used are in bytes, or None if unknown."""

    type: str
    uuid: str | None
    label: str | None
    size: int | None
    used: int | None


def probe(extent: Extent, tools: Tools) -> FileSystem | None:
    """The content of the extent, or None if it is not known. Raises ToolError, also without blkid."""
    argv = ["blkid", "-p", "-o", "udev", "--offset", str(extent.offset), "--size", str(extent.size), IMAGE]
    result = tools.run(argv, extent.path)
    if result.status == _AMBIVALENT:
        raise ToolError("it looks like several file systems at once")
    values = dict(re.findall(r"^(ID_FS_\w+)=(.*)$", result.stdout.decode(errors="replace"), re.MULTILINE))
    kind = values.get("ID_FS_TYPE")
    if not kind:
        return None
    size, used = usage(extent, kind)
    return FileSystem(kind, _value(values, "UUID"), _value(values, "LABEL"), size, used)


def _value(values: dict[str, str], name: str) -> str | None:
    """A value as it stands on the disk: blkid escapes unusual characters as \\xNN."""
    text = values.get(f"ID_FS_{name}_ENC") or values.get(f"ID_FS_{name}")
    if not text:
        return None
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), text.encode())
    return raw.decode(errors="replace").rstrip()


def usage(extent: Extent, kind: str) -> tuple[int | None, int | None]:
    """The size and the used space, in bytes, by the superblock of a file system of this type."""
    size: int | None
    used: int | None
    try:
        if kind in _EXT:
            size, used = _ext(extent.read(1024, 1024))
        elif kind in _READERS:
            size, used = _READERS[kind](extent)
        else:
            return None, None
    except (struct.error, ZeroDivisionError):  # cut off
        return None, None
    # A damaged superblock may claim more free space than there is.
    return size, used if used is not None and 0 <= used <= size else None


def _ext(block: bytes) -> tuple[int, int]:
    total, free = struct.unpack_from("<I", block, 4)[0], struct.unpack_from("<I", block, 12)[0]
    block_size = 1024 << min(struct.unpack_from("<I", block, 24)[0], 6)
    if struct.unpack_from("<I", block, 96)[0] & 0x80:  # feature 64bit
        total |= struct.unpack_from("<I", block, 0x150)[0] << 32
        free |= struct.unpack_from("<I", block, 0x158)[0] << 32
    return total * block_size, (total - free) * block_size


def _xfs(extent: Extent) -> tuple[int, int]:
    block = extent.read(0, 512)
    size, total = struct.unpack_from(">IQ", block, 4)
    free = struct.unpack_from(">Q", block, 144)[0]
    return total * size, (total - free) * size


def _btrfs(extent: Extent) -> tuple[int, int]:
    total, used = struct.unpack_from("<QQ", extent.read(65536, 4096), 112)
    return total, used


def _squashfs(extent: Extent) -> tuple[int, int]:
    used = struct.unpack_from("<Q", extent.read(0, 96), 40)[0]
    return used, used


def _erofs(extent: Extent) -> tuple[int, int]:
    block = extent.read(1024, 128)
    size = struct.unpack_from("<I", block, 36)[0] << min(block[12], 16)
    return size, size


def _vfat(extent: Extent) -> tuple[int, int | None]:
    block = extent.read(0, 512)
    sector, cluster, reserved, copies, roots, small = struct.unpack_from("<HBHBHH", block, 11)
    medium = struct.unpack_from("<H", block, 22)[0]
    large, wide = struct.unpack_from("<II", block, 32)
    sectors, width = small or large, medium or wide
    first = reserved + copies * width + (roots * 32 + sector - 1) // sector
    clusters = (sectors - first) // cluster
    bits = 12 if clusters < 4085 else 16 if clusters < 65525 else 32
    table = extent.read(reserved * sector, min(width * sector, 16 * 1024**2))
    free = _free_clusters(table, clusters, bits)
    return sectors * sector, (sectors - free * cluster) * sector


def _free_clusters(table: bytes, clusters: int, bits: int) -> int:
    """The number of free clusters in a FAT, whose first two entries are reserved."""
    if bits == 12:
        values = []
        for number in range(2, min(clusters + 2, len(table) * 2 // 3)):
            pair = int.from_bytes(table[number * 3 // 2 : number * 3 // 2 + 2], "little")
            values.append(pair >> 4 if number % 2 else pair & 0xFFF)
        return values.count(0)
    width = bits // 8
    end = min((clusters + 2) * width, len(table) // width * width)
    cells = memoryview(table[2 * width : end]).cast("H" if bits == 16 else "I")
    return sum(1 for cell in cells if cell & 0x0FFFFFFF == 0)


def _iso9660(extent: Extent) -> tuple[int, int]:
    block = extent.read(32768, 256)
    size = struct.unpack_from("<I", block, 80)[0] * struct.unpack_from("<H", block, 128)[0]
    return size, size


def _swap(extent: Extent) -> tuple[int, None]:
    return extent.size, None


_READERS = {
    "xfs": _xfs,
    "btrfs": _btrfs,
    "squashfs": _squashfs,
    "erofs": _erofs,
    "vfat": _vfat,
    "iso9660": _iso9660,
    "swap": _swap,
}
