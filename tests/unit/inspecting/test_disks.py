"""Partition tables and the sizes of file systems."""

import struct
import uuid
from pathlib import Path

from osbuild_compose.inspecting import file_systems, partitions
from osbuild_compose.inspecting.extent import Extent
from osbuild_compose.inspecting.tools import Tools
from osbuild_compose.inspecting.trees.archive import absolute

LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")


def extent(tmp_path: Path, content: bytes, size: int = 0) -> Extent:
    path = tmp_path / "disk"
    path.write_bytes(content)
    if size:
        with path.open("r+b") as file:
            file.truncate(size)
    return Extent.whole(path)


def row(kind: int, start: int, size: int, flag: int = 0) -> bytes:
    return struct.pack("<B3xB3xII", flag, kind, start, size)


def sector(*rows: bytes) -> bytes:
    return (bytes(440) + b"\x78\x56\x34\x12\0\0" + b"".join(rows)).ljust(510, b"\0") + b"\x55\xaa"


def gpt(entries: bytes, count: int, width: int = 128, size: int = 512) -> bytes:
    header = struct.pack("<8s4x4xI4x4xQQQQ", b"EFI PART", 92, 1, 99, 34, 66)
    header = b"EFI PART" + bytes(16) + struct.pack("<QQQQ", 1, 99, 34, 66)
    header += uuid.UUID(int=7).bytes_le + struct.pack("<QIII", 2, count, width, 0)
    return bytes(size) + header.ljust(size, b"\0") + entries


def entry(first: int, last: int, name: str) -> bytes:
    fields = LINUX.bytes_le + uuid.UUID(int=9).bytes_le + struct.pack("<QQQ", first, last, 4)
    return fields + name.encode("utf-16-le").ljust(72, b"\0")


def test_gpt_in_both_sizes_of_sectors(tmp_path: Path) -> None:
    for size in (512, 4096):
        found = partitions.read(extent(tmp_path, gpt(entry(40, 49, "röot"), 1, size=size), 100 * size))
        assert found is not None
        assert (found.type, found.sector_size) == ("gpt", size)
        (one,) = found.partitions
        assert (one.start, one.size, one.label, one.bootable) == (40 * size, 10 * size, "röot", True)
        assert one.type_name == "Linux filesystem"


def test_valid_entries_of_an_invalid_gpt_are_read(tmp_path: Path) -> None:
    rows = entry(40, 49, "a") + entry(60, 50, "ends before it begins") + bytes(128) + entry(2**63, 2**64 - 1, "x" * 36)
    found = partitions.read(extent(tmp_path, gpt(rows, 2**32 - 1), 51200))
    assert found is not None
    assert [one.number for one in found.partitions] == [1, 4]
    for width in (0, 7, 2**32 - 1):
        found = partitions.read(extent(tmp_path, gpt(rows, 4, width), 51200))
        assert found is not None
        assert found.partitions == ()


def test_dos_with_logical_partitions(tmp_path: Path) -> None:
    content = bytearray(400 * 512)
    content[:512] = sector(row(0x83, 1, 9, 0x80), row(0x05, 100, 200))
    content[100 * 512 : 101 * 512] = sector(row(0x83, 1, 9), row(0x05, 50, 60))
    content[150 * 512 : 151 * 512] = sector(row(0x82, 1, 9))
    found = partitions.read(extent(tmp_path, bytes(content)))
    assert found is not None
    assert (found.type, found.uuid, found.sector_size) == ("dos", "12345678", 512)
    assert [(one.number, one.type, one.start // 512) for one in found.partitions] == [
        (1, "83", 1),
        (2, "05", 100),
        (5, "83", 101),
        (6, "82", 151),
    ]
    assert [one.bootable for one in found.partitions] == [True, False, False, False]


def test_dos_does_not_say_how_large_sectors_are(tmp_path: Path) -> None:
    for size in (512, 4096):
        content = bytearray(128 * 4096)
        content[:512] = sector(row(0x83, 40, 20))
        content[40 * size + 1080] = 0x53
        found = partitions.read(extent(tmp_path, bytes(content)))
        assert found is not None
        assert (found.sector_size, found.partitions[0].start) == (size, 40 * size)


def test_a_ring_of_logical_partitions_ends(tmp_path: Path) -> None:
    content = bytearray(400 * 512)
    content[:512] = sector(row(0x05, 100, 200))
    content[100 * 512 : 101 * 512] = sector(row(0x83, 1, 9), row(0x05, 50, 60))
    content[150 * 512 : 151 * 512] = sector(row(0x83, 1, 9), row(0x05, 0, 60))
    found = partitions.read(extent(tmp_path, bytes(content)))
    assert found is not None
    assert [one.number for one in found.partitions] == [1, 5, 6]


def test_the_first_sector_of_a_file_system_is_no_table(tmp_path: Path) -> None:
    boot = bytearray(sector())
    boot[446:510] = b"Non-system disk, press any key to go on and on and on and on an."
    assert partitions.read(extent(tmp_path, bytes(boot))) is None
    assert partitions.read(extent(tmp_path, b"")) is None


def test_invalid_superblocks_have_no_size(tmp_path: Path) -> None:
    for kind in ("ext4", "xfs", "btrfs", "squashfs", "erofs", "vfat", "iso9660"):
        for content in (b"", bytes(100)):
            assert file_systems.usage(extent(tmp_path, content), kind) in ((None, None), (0, 0)), kind


def test_a_part_ends_where_its_file_does(tmp_path: Path) -> None:
    whole = extent(tmp_path, b"0123456789")
    assert whole.part(4, 100).read(0, 100) == b"456789"
    assert whole.part(100, 5).read(0, 5) == b""
    assert whole.part(2, 4).part(3, 9).read(0, 9) == b"5"


def test_a_copy_of_a_part_has_its_holes(tmp_path: Path) -> None:
    path = tmp_path / "disk"
    with path.open("wb") as file:
        file.truncate(64 << 20)
        file.seek(33 << 20)
        file.write(b"in the middle")
    copy = Extent(path, 1 << 20, 62 << 20).as_file(Tools(tmp_path))
    assert copy.stat().st_size == 62 << 20
    assert copy.stat().st_blocks * 512 < 1 << 20
    assert Extent.whole(copy).read(32 << 20, 13) == b"in the middle"
    assert Extent.whole(path).as_file(Tools(tmp_path)) == path


def test_names_in_archives_stay_below_the_top() -> None:
    names = ("./a/b", "/a", "../../a", "a/../../b", "a//b/.", "", "..")
    assert [absolute(name.encode()) for name in names] == ["/a/b", "/a", "/a", "/b", "/a/b", "/", "/"]
