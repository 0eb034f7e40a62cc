"""What fills partitions: a file system, or a volume group with file systems in it.

Each tells how much room it needs, and writes itself into its place of the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from stagelib.disk import layout, lvm, planner
from stagelib.disk.filesystems import registry
from stagelib.disk.filesystems.fs_spec import FsSpec
from stagelib.disk.planner import Place
from stagelib.disk.sizes import human
from stagelib.disk.types import LVM_EXTENT, LVM_START
from stagelib.errors import StageError


class PartitionContent:
    """What is in a partition; sizes in bytes."""

    def least(self) -> int:
        """What it takes where its size is given: whoever writes it says then whether all fits."""
        raise NotImplementedError

    def need(self, free: int) -> int:
        """What it needs with `free` bytes left in each file system that has no size of its own."""
        raise NotImplementedError

    def takes(self) -> list[str]:
        """What its largest directories are, for people, the largest first."""
        raise NotImplementedError

    def write(self, image: str, place: Place) -> None:
        """Write it into `place` of the file `image`, which is zeroes there. Raises StageError when it does not fit."""
        raise NotImplementedError


@dataclass(frozen=True)
class FileSystemContent(PartitionContent):
    """A file system; title is for messages."""

    job: FsSpec
    title: str

    @property
    def _kind(self) -> registry.FileSystemType:
        return registry.TYPES[self.job.spec.type]

    def least(self) -> int:
        return self._kind.least(self.job)

    def need(self, free: int) -> int:
        return self._kind.need(self.job, free)

    def takes(self) -> list[str]:
        return self.job.takes()

    def write(self, image: str, place: Place) -> None:
        try:
            self._kind.make(self.job, image, place)
        except StageError as error:
            if "not fit" not in error.message:
                raise
            most = ", ".join(self.takes()[: planner.SHOWN])
            raise StageError(f"{self.title}: {error.message}; most of it is {most}", error.hint) from None


@dataclass(frozen=True)
class VolumeGroupContent(PartitionContent):
    """A physical volume of LVM with all of its group: what fills each logical volume, in the group's order.

    free: room to leave in file systems when it is known how large the physical volume is.
    """

    group: layout.VolumeGroup
    fillings: Sequence[PartitionContent | None]
    free: int
    epoch: int

    def least(self) -> int:
        return self._bytes(self._counts(0, growing_needs_all=False))

    def need(self, free: int) -> int:
        return self._bytes(self._counts(free, growing_needs_all=True))

    def takes(self) -> list[str]:
        return [text for filling in self.fillings if filling for text in filling.takes()]

    def write(self, image: str, place: Place) -> None:
        volumes = self._volumes(lvm.extents(place.size))
        lvm.write(image, place, self.group, volumes, self.epoch)
        for filling, volume in zip(self.fillings, volumes, strict=True):
            if filling:
                filling.write(image, volume.place(place.start))

    def _bytes(self, counts: Sequence[int]) -> int:
        return LVM_START + sum(counts) * LVM_EXTENT

    def _counts(self, free: int, *, growing_needs_all: bool) -> list[int]:
        """Each volume's extents: what is given, or what its content needs; those that grow perhaps at the least."""
        counts = []
        for item, filling in zip(self.group.volumes, self.fillings, strict=True):
            size = item.size or item.minimum
            if filling and item.size is None:
                grows = item.grow and not growing_needs_all
                size = max(size, filling.least() if grows else filling.need(free))
            counts.append(max(1, -(-size // LVM_EXTENT)))
        return counts

    def _volumes(self, room: int) -> list[lvm.Extents]:
        """Where the volumes lie in `room` extents; those that grow share what is left."""
        for free, needs_all in ((self.free, True), (self.free, False), (0, False)):
            counts = self._counts(free, growing_needs_all=needs_all)
            if sum(counts) <= room:
                break
        else:
            lack = (sum(counts) - room) * LVM_EXTENT
            sizes = ", ".join(f"{item.name} {human(count * LVM_EXTENT)}" for item, count in self._largest(counts))
            raise StageError(
                f"the volume group {self.group.name} is too small by {human(lack)}: {sizes}",
                "make its partition larger, or leave its size out",
            )
        growing = [number for number, item in enumerate(self.group.volumes) if item.grow]
        left = room - sum(counts)
        for rank, number in enumerate(growing):
            counts[number] += left // len(growing) + (rank < left % len(growing))
        firsts = [sum(counts[:number]) for number in range(len(counts))]
        return [lvm.Extents(first, count) for first, count in zip(firsts, counts, strict=True)]

    def _largest(self, counts: Sequence[int]) -> list[tuple[layout.LogicalVolume, int]]:
        both = zip(self.group.volumes, counts, strict=True)
        return sorted(both, key=lambda pair: -pair[1])[: planner.SHOWN]
