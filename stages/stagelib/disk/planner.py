"""Plan the places of partitions, from a layout and the needs of its file systems."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stagelib.disk import layout
from stagelib.disk.sizes import MIB, human
from stagelib.disk.types import ALIGNMENT, DOS_SECTORS, GPT_ENTRIES
from stagelib.errors import StageError

SHOWN = 4  # of the things that take the space


@dataclass(frozen=True)
class Place:
    """The place of a partition: `start` and `size` in bytes."""

    start: int
    size: int

    @property
    def end(self) -> int:
        """The offset of the first byte after it."""
        return self.start + self.size


@dataclass(frozen=True)
class Plan:
    """The whole disk: its size in bytes, and the place of each partition in the layout's order."""

    size: int
    places: tuple[Place, ...]


def plan(disk: layout.Disk, needs: Mapping[int, int], takes: Mapping[int, Sequence[str]] | None = None) -> Plan:
    """Place the partitions of `disk`.

    needs: the least bytes of each partition's content, by its number from 0. takes: descriptions of its largest
    directories, for errors. Raises StageError that says by how much something does not fit.
    """
    takes = takes or {}
    sizes = [least(disk, number, needs.get(number, 0), takes.get(number, ())) for number in range(len(disk.partitions))]
    last = None if disk.size is None else usable_end(disk, disk.size)
    runs = list(_runs(disk))
    places: dict[int, Place] = {}
    cursor = ALIGNMENT
    for index, run in enumerate(runs):
        start = disk.partitions[run[0]].start
        if start is not None:
            _check_start(disk, run[0], start, cursor, places)
            cursor = start
        following = disk.partitions[runs[index + 1][0]].start if index + 1 < len(runs) else last
        _grow(disk, run, sizes, cursor, following)
        for number in run:
            places[number] = Place(cursor, sizes[number])
            cursor = _aligned(cursor + sizes[number])
    end = max((place.end for place in places.values()), default=ALIGNMENT)
    if last is not None and end > last:
        raise _too_small(disk, sizes, end - last, takes)
    size = disk.size or -(-(end + tail(disk)) // disk.multiple) * disk.multiple
    if disk.table == "dos" and size // disk.sector > DOS_SECTORS:
        raise StageError(f"a DOS partition table cannot describe a disk of {human(size)}", "use a GPT")
    return Plan(size, tuple(places[number] for number in sorted(places)))


def tail(disk: layout.Disk) -> int:
    """The bytes of the table at the disk's end: a GPT has its backup there."""
    return GPT_ENTRIES + disk.sector if disk.table == "gpt" else 0


def usable_end(disk: layout.Disk, size: int) -> int:
    """The end of the space for partitions on a disk of `size` bytes."""
    if size % disk.sector:
        raise StageError(f"the disk's size of {size} bytes is not a multiple of its sectors of {disk.sector}")
    return size - tail(disk)


def least(disk: layout.Disk, number: int, need: int, takes: Sequence[str] = ()) -> int:
    """The size of a partition before it grows: the given one, or what its content needs.

    Raises StageError when the given one is too small.
    """
    partition = disk.partitions[number]
    if partition.size is None:
        return max(_aligned(max(partition.minimum, need)), ALIGNMENT)
    if partition.size % disk.sector:
        raise StageError(f"{partition.title}: {partition.size} bytes is not a multiple of {disk.sector}")
    if partition.size < need:
        most = f"; most of it is {', '.join(takes[:SHOWN])}" if takes else ""
        raise StageError(
            f"{partition.title}: {human(partition.size)} is too small, its content needs {human(need)}: "
            f"{human(need - partition.size)} too little{most}",
            f"make it {_aligned(need) // MIB} MiB or larger, or omit its size",
        )
    return partition.size


def _runs(disk: layout.Disk) -> list[list[int]]:
    """The partitions' numbers in contiguous groups; a given start begins a new one."""
    runs: list[list[int]] = []
    for number, partition in enumerate(disk.partitions):
        if not runs or partition.start is not None:
            runs.append([])
        runs[-1].append(number)
    return runs


def _check_start(disk: layout.Disk, number: int, start: int, cursor: int, places: Mapping[int, Place]) -> None:
    partition = disk.partitions[number]
    if start % disk.sector:
        raise StageError(f"{partition.title}: its start of {start} bytes is not a multiple of {disk.sector}")
    before = places.get(number - 1)
    end = before.end if before else 2 * disk.sector + GPT_ENTRIES if disk.table == "gpt" else disk.sector
    if start < end:
        what = disk.partitions[number - 1].title if before else "the partition table"
        raise StageError(
            f"{partition.title} starts at {start} bytes and overlaps {what}, which ends at {end}",
            f"let it start at {cursor} or later, or omit its start",
        )


def _grow(disk: layout.Disk, run: list[int], sizes: list[int], start: int, end: int | None) -> None:
    """Distribute the remaining space between `start` and `end` among the growing partitions of the run."""
    growing = [number for number in run if disk.partitions[number].grow]
    if end is None or not growing:
        return
    cursor = start
    for number in run:
        cursor = _aligned(cursor) + sizes[number]
    left = end - cursor
    if left <= 0:
        return  # plan() reports it
    share = left // len(growing) // ALIGNMENT * ALIGNMENT
    for number in growing:
        sizes[number] += share
    if growing[-1] == run[-1]:
        spare = left - share * len(growing)
        sizes[run[-1]] += spare // 4096 * 4096


def _too_small(disk: layout.Disk, sizes: Sequence[int], lack: int, takes: Mapping[int, Sequence[str]]) -> StageError:
    assert disk.size is not None
    order = sorted(range(len(sizes)), key=lambda number: -sizes[number])
    parts = ", ".join(f"{disk.partitions[number].title} {human(sizes[number])}" for number in order[:SHOWN])
    largest = takes.get(order[0], ())[:SHOWN]
    most = f"; most of {disk.partitions[order[0]].title} is {', '.join(largest)}" if largest else ""
    return StageError(
        f"a disk of {human(disk.size)} is too small by {human(lack)}: {parts}{most}",
        f"raise the disk's size to {_aligned(disk.size + lack) // MIB} MiB or more, or omit it",
    )


def _aligned(value: int) -> int:
    return -(-value // ALIGNMENT) * ALIGNMENT
