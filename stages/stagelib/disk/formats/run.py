"""What the formats of one run share."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from stagelib.disk import layout, planner

T = TypeVar("T")


@dataclass(frozen=True)
class RawDisk:
    """The raw disk that formats of disks convert: its file, which they leave as it is, and what is on it."""

    path: str
    layout: layout.Disk
    plan: planner.Plan


@dataclass(frozen=True)
class Run:
    """One run of the assembler, as formats see it that have something in common. epoch: seconds since 1970.

    identity: a UUID from which formats that need further identifiers make theirs. outputs: what is made by these
    formats, each as the assembler's options have it. room: a directory for what they share, which goes after the last
    of them. `disk` is there for formats that are made from disks; `is_last`, where nothing else needs it afterwards.
    """

    tree: str
    epoch: int
    identity: str
    outputs: tuple[Mapping[str, Any], ...]
    room: str
    disk: RawDisk | None = None
    is_last: bool = False
    _made: dict[str, object] = field(default_factory=dict)

    @property
    def raw(self) -> RawDisk:
        """The disk. Raises AssertionError for a format that is not registered as one of disks."""
        assert self.disk is not None
        return self.disk

    def is_last_to_read(self, options: Mapping[str, Any]) -> bool:
        """Whether the output that has these options is the last that is made from the disk."""
        return self.is_last and options is self.outputs[-1]

    def once(self, what: str, make: Callable[[str], T]) -> T:
        """What `make` returns, which is called by the first format that asks for `what`, with a directory for it.

        Its files can be in several images by hard links: none of them is of a kind that is written to.
        """
        if what not in self._made:
            directory = os.path.join(self.room, str(len(self._made)))
            os.mkdir(directory)
            self._made[what] = make(directory)
        return cast("T", self._made[what])
