"""What file system an area holds: its kind and names by blkid, its size and what is used of it by its superblock."""

import re
import struct
from dataclasses import dataclass

from osbuild_compose.inspecting.area import Area
from osbuild_compose.inspecting.tools import IMAGE, ToolError, Tools

_AMBIVALENT = 8  # blkid's exit status for an area that looks like several things
_EXT = ("ext2", "ext3", "ext4")


@dataclass(frozen=True)
class FileSystem:
    """A file system, or what else fills a partition. size and used are in bytes, None where it does not say."""

    type: str
    uuid: str | None
    label: str | None
    size: int | None
    used: int | None


def probe(area: Area, tools: Tools) -> FileSystem | None:
    """What the area holds; None if nothing that is known. Raises ToolError without blkid."""
    argv = ["blkid", "-p", "-o", "udev", "--offset", str(area.offset), "--size", str(area.size), IMAGE]
    result = tools.run(argv, area.path)
    if result.status == _AMBIVALENT:
        raise ToolError("it looks like several file systems at once")
    said = dict(re.findall(r"^(ID_FS_\w+)=(.*)$", result.stdout.decode(errors="replace"), re.MULTILINE))
    kind = said.get("ID_FS_TYPE")
    if not kind:
        return None
    size, used = usage(area, kind)
    return FileSystem(kind, _value(said, "UUID"), _value(said, "LABEL"), size, used)


def _value(said: dict[str, str], name: str) -> str | None:
    """The value as it is on the disk: blkid writes odd characters as \\xNN."""
    text = said.get(f"ID_FS_{name}_ENC") or said.get(f"ID_FS_{name}")
    if not text:
        return None
    raw = re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), text.encode())
    return raw.decode(errors="replace").rstrip()


def usage(area: Area, kind: str) -> tuple[int | None, int | None]:
    """The size and what is used of it, in bytes, by the superblock of a file system of this kind."""
    size: int | None
    used: int | None
    try:
        if kind in _EXT:
            size, used = _ext(area.read(1024, 1024))
        elif kind in _READERS:
            size, used = _READERS[kind](area)
        else:
            return None, None
    except (struct.error, ZeroDivisionError):  # cut off
        return None, None
    return size, used if used is not None and 0 <= used <= size else None  # a damaged one has more free than it has


def _ext(block: bytes) -> tuple[int, int]:
    total, free = struct.unpack_from("<I", block, 4)[0], struct.unpack_from("<I", block, 12)[0]
    block_size = 1024 << min(struct.unpack_from("<I", block, 24)[0], 6)
    if struct.unpack_from("<I", block, 96)[0] & 0x80:  # the feature 64bit
        total |= struct.unpack_from("<I", block, 0x150)[0] << 32
        free |= struct.unpack_from("<I", block, 0x158)[0] << 32
    return total * block_size, (total - free) * block_size


def _xfs(area: Area) -> tuple[int, int]:
    block = area.read(0, 512)
    size, total = struct.unpack_from(">IQ", block, 4)
    free = struct.unpack_from(">Q", block, 144)[0]
    return total * size, (total - free) * size


def _btrfs(area: Area) -> tuple[int, int]:
    total, used = struct.unpack_from("<QQ", area.read(65536, 4096), 112)
    return total, used


def _squashfs(area: Area) -> tuple[int, int]:
    used = struct.unpack_from("<Q", area.read(0, 96), 40)[0]
    return used, used


def _erofs(area: Area) -> tuple[int, int]:
    block = area.read(1024, 128)
    size = struct.unpack_from("<I", block, 36)[0] << min(block[12], 16)
    return size, size


def _vfat(area: Area) -> tuple[int, int | None]:
    block = area.read(0, 512)
    sector, cluster, reserved, copies, roots, small = struct.unpack_from("<HBHBHH", block, 11)
    medium = struct.unpack_from("<H", block, 22)[0]
    large, wide = struct.unpack_from("<II", block, 32)
    sectors, width = small or large, medium or wide
    first = reserved + copies * width + (roots * 32 + sector - 1) // sector
    clusters = (sectors - first) // cluster
    bits = 12 if clusters < 4085 else 16 if clusters < 65525 else 32
    table = area.read(reserved * sector, min(width * sector, 16 * 1024**2))
    free = _free_clusters(table, clusters, bits)
    return sectors * sector, (sectors - free * cluster) * sector


def _free_clusters(table: bytes, clusters: int, bits: int) -> int:
    """How many clusters a FAT says are free. The first two entries are none."""
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


def _iso9660(area: Area) -> tuple[int, int]:
    block = area.read(32768, 256)
    size = struct.unpack_from("<I", block, 80)[0] * struct.unpack_from("<H", block, 128)[0]
    return size, size


def _swap(area: Area) -> tuple[int, None]:
    return area.size, None


_READERS = {
    "xfs": _xfs,
    "btrfs": _btrfs,
    "squashfs": _squashfs,
    "erofs": _erofs,
    "vfat": _vfat,
    "iso9660": _iso9660,
    "swap": _swap,
}
