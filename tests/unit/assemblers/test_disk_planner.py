"""Where partitions go, and what is said when they cannot."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stagelib.disk import layout, planner, table
from stagelib.disk.layout import Disk, FileSystem, Partition
from stagelib.disk.types import GPT_ENTRIES
from stagelib.errors import StageError

MIB = 1 << 20
UUID = "76a22bf4-f153-4541-b6c7-0332c0dfaeac"
ROOT = Partition("root-x86-64", "root", UUID, grow=True, file_system=FileSystem("ext4", UUID, mountpoint="/"))
BIOS = Partition("bios-boot", "bios", UUID, size=MIB)
HOME = Partition("home", "home", UUID, size=64 * MIB, file_system=FileSystem("ext4", UUID, mountpoint="/home"))


def disk(*partitions: Partition, kind: str = "gpt", size: int | None = None, sector: int = 512) -> Disk:
    return Disk(kind, UUID, partitions, size=size, sector=sector)


def test_a_disk_without_a_size_is_as_large_as_what_is_on_it() -> None:
    plan = planner.plan(disk(BIOS, HOME, ROOT), {1: 10 * MIB, 2: 100 * MIB + 1})
    assert [(place.start // MIB, place.size // MIB) for place in plan.places] == [(1, 1), (2, 64), (66, 101)]
    assert plan.size == (66 + 101 + 1) * MIB  # and the copy of the table


def test_what_grows_takes_the_rest_of_a_given_size() -> None:
    plan = planner.plan(disk(BIOS, HOME, ROOT, size=1024 * MIB), {2: 100 * MIB})
    end = plan.places[2].end
    assert 1024 * MIB - GPT_ENTRIES - 512 - 4096 < end <= 1024 * MIB - GPT_ENTRIES - 512
    two = planner.plan(disk(ROOT, Partition("home", "h", UUID, grow=True), size=512 * MIB), {})
    assert abs(two.places[0].size - two.places[1].size) <= 2 * MIB


@given(
    sizes=st.lists(st.integers(1, 500), min_size=1, max_size=20),
    sector=st.sampled_from([512, 4096]),
    kind=st.sampled_from(["gpt", "dos"]),
)
def test_partitions_never_overlap_and_stay_on_the_disk(sizes: list[int], sector: int, kind: str) -> None:
    wanted = disk(
        *(Partition("linux", f"p{n}", UUID, minimum=size * MIB - 1) for n, size in enumerate(sizes)),
        kind=kind,
        sector=sector,
    )
    plan = planner.plan(wanted, {})
    ends = [MIB, *(place.end for place in plan.places)]
    assert all(place.start >= end for place, end in zip(plan.places, ends, strict=False))
    assert all(place.size >= size * MIB - 1 for place, size in zip(plan.places, sizes, strict=True))
    assert all(value % sector == 0 for place in plan.places for value in (place.start, place.size))
    assert ends[-1] <= plan.size - planner.tail(wanted)


def test_too_small_a_disk_is_reported_by_how_much_and_what_takes_the_space() -> None:
    with pytest.raises(StageError, match=r"a disk of 128.0 MiB is too small by 3\d.\d MiB: root \(/\) 100.0 MiB, home"):
        planner.plan(disk(HOME, ROOT, size=128 * MIB), {1: 100 * MIB})
    takes = {1: ["/usr/lib 70.0 MiB", "/usr/bin 20.0 MiB"], 0: ["/home/a 1.0 MiB"]}
    with pytest.raises(StageError, match=r"home.*; most of root \(/\) is /usr/lib 70.0 MiB, /usr/bin 20.0 MiB$"):
        planner.plan(disk(HOME, ROOT, size=128 * MIB), {1: 100 * MIB}, takes)


def test_too_small_a_partition_is_reported_with_what_is_in_it() -> None:
    with pytest.raises(StageError, match=r"home \(/home\): 64.0 MiB is too small.*16.0 MiB too little; most.* /home/a"):
        planner.plan(disk(HOME, ROOT), {0: 80 * MIB}, {0: ["/home/a 70.0 MiB"]})


def test_overlaps_are_refused() -> None:
    inside = Partition("linux", "data", UUID, start=30 * MIB, size=MIB)
    with pytest.raises(StageError, match=r"data starts at 31457280 bytes and overlaps home \(/home\)"):
        planner.plan(disk(HOME, inside), {})
    with pytest.raises(StageError, match="overlaps the partition table"):
        planner.plan(disk(Partition("linux", "data", UUID, start=512, size=MIB)), {})


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (disk(*[ROOT] * 1, HOME, HOME), "two file systems are mounted at /home"),
        (disk(*[BIOS] * 5, kind="dos"), "4 partitions at most"),
        (disk(BIOS, kind="dos"), "no BIOS boot partition"),
        (disk(Partition("ntfs", "x")), "not the type of a GPT partition"),
        (disk(Partition("linux", "x")), "x: a GPT partition needs a uuid"),
        (disk(Partition("zz", "x"), kind="dos"), "not the type of a DOS partition"),
    ],
)
def test_what_no_disk_can_have(wanted: Disk, message: str) -> None:
    with pytest.raises(StageError, match=message):
        layout.check(wanted)


@pytest.mark.parametrize("sector", [512, 4096])
def test_both_copies_of_a_gpt_have_right_checksums(sector: int) -> None:
    wanted = disk(BIOS, ROOT, sector=sector)
    plan = planner.plan(wanted, {1: 50 * MIB})
    written = dict(table.gpt(wanted, plan))
    for at, entries_at in ((sector, 2 * sector), (plan.size - sector, plan.size - sector - GPT_ENTRIES)):
        header = written[at]
        assert zlib.crc32(header[:16] + bytes(4) + header[20:92]) == struct.unpack_from("<I", header, 16)[0]
        assert struct.unpack_from("<Q", header, 24)[0] * sector == at
        assert struct.unpack_from("<Q", header, 72)[0] * sector == entries_at
        assert zlib.crc32(written[entries_at]) == struct.unpack_from("<I", header, 88)[0]


def test_the_partition_that_holds_a_path_is_the_nearest_mount_point() -> None:
    wanted = disk(ROOT, HOME)
    assert [wanted.holding(path) for path in ("/", "/home", "/home/a", "/homes")] == [0, 1, 1, 0]
