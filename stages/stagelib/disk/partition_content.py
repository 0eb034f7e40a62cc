"""The content of partitions: a file system, or a volume group with file systems.

Content knows how much room it needs, and writes itself into its place in the image.
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
    """The content of a partition; sizes in bytes."""

    def minimum(self) -> int:
        """The minimum size if the partition's size is given: write() then checks whether all fits."""
        raise NotImplementedError

    def need(self, free: int) -> int:
        """The size with `free` bytes left in each file system without a given size."""
        raise NotImplementedError

    def largest(self) -> list[str]:
        """A description of its largest directories, the largest first."""
        raise NotImplementedError

    def write(self, image: str, place: Place) -> None:
        """Write it to `place` in the file `image`, which has zeroes there. Raises StageError when it does not fit."""
        raise NotImplementedError


@dataclass(frozen=True)
class FileSystemContent(PartitionContent):
    """A file system; title is for messages."""

    spec: FsSpec
    title: str

    @property
    def _kind(self) -> registry.FileSystemType:
        return registry.TYPES[self.spec.file_system.type]

    def minimum(self) -> int:
        return self._kind.minimum(self.spec)

    def need(self, free: int) -> int:
        return self._kind.need(self.spec, free)

    def largest(self) -> list[str]:
        return self.spec.largest()

    def write(self, image: str, place: Place) -> None:
        try:
            self._kind.make(self.spec, image, place)
        except StageError as error:
            if "not fit" not in error.message:
                raise
            most = ", ".join(self.largest()[: planner.SHOWN])
            raise StageError(f"{self.title}: {error.message}; most of it is {most}", error.hint) from None


@dataclass(frozen=True)
class VolumeGroupContent(PartitionContent):
    """An LVM physical volume with its whole group: the content of each logical volume, in the group's order.

    free: bytes to leave in file systems when the size of the physical volume is given.
    """

    group: layout.VolumeGroup
    contents: Sequence[PartitionContent | None]
    free: int
    epoch: int

    def minimum(self) -> int:
        return self._bytes(self._counts(0, growing_needs_all=False))

    def need(self, free: int) -> int:
        return self._bytes(self._counts(free, growing_needs_all=True))

    def largest(self) -> list[str]:
        return [text for content in self.contents if content for text in content.largest()]

    def write(self, image: str, place: Place) -> None:
        volumes = self._volumes(lvm.extents(place.size))
        lvm.write(image, place, self.group, volumes, self.epoch)
        for content, volume in zip(self.contents, volumes, strict=True):
            if content:
                content.write(image, volume.place(place.start))

    def _bytes(self, counts: Sequence[int]) -> int:
        return LVM_START + sum(counts) * LVM_EXTENT

    def _counts(self, free: int, *, growing_needs_all: bool) -> list[int]:
        """Each volume's extents: as given, or as its content needs; growing ones perhaps with their minimum."""
        counts = []
        for item, content in zip(self.group.volumes, self.contents, strict=True):
            size = item.size or item.minimum
            if content and item.size is None:
                grows = item.grow and not growing_needs_all
                size = max(size, content.minimum() if grows else content.need(free))
            counts.append(max(1, -(-size // LVM_EXTENT)))
        return counts

    def _volumes(self, room: int) -> list[lvm.Extents]:
        """The places of the volumes in `room` extents; growing ones share the remaining extents."""
        for free, needs_all in ((self.free, True), (self.free, False), (0, False)):
            counts = self._counts(free, growing_needs_all=needs_all)
            if sum(counts) <= room:
                break
        else:
            lack = (sum(counts) - room) * LVM_EXTENT
            sizes = ", ".join(f"{item.name} {human(count * LVM_EXTENT)}" for item, count in self._largest(counts))
            raise StageError(
                f"the volume group {self.group.name} is too small by {human(lack)}: {sizes}",
                "make its partition larger, or omit its size",
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
