"""The input and shared results of one run of an assembler, as formats see them."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from stagelib.disk import layout, planner

T = TypeVar("T")


@dataclass(frozen=True)
class RawDisk:
    """The raw disk that formats of disks convert: its file, which they must not change, and its layout."""

    path: str
    layout: layout.Disk
    plan: planner.Plan


@dataclass(frozen=True)
class Run:
    """One run of the assembler for formats that share something. epoch: seconds since 1970.

    identity: a UUID from which formats derive further identifiers. outputs: the outputs of these formats, as in the
    assembler's options. room: a directory for shared results, removed after the last of them. disk: the raw disk, for
    formats of disks; is_last: whether nothing else needs it afterwards.
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
        """The disk. Raises AssertionError for a format that is not registered as made from the disk."""
        assert self.disk is not None
        return self.disk

    def is_last_to_read(self, options: Mapping[str, Any]) -> bool:
        """Whether the output that has these options is the last that is made from the disk."""
        return self.is_last and options is self.outputs[-1]

    def once(self, what: str, make: Callable[[str], T]) -> T:
        """The result of `make`, which is called once for each `what`, with a directory for its files.

        Its files may become several outputs by hard links, since outputs are never written to.
        """
        if what not in self._made:
            directory = os.path.join(self.room, str(len(self._made)))
            os.mkdir(directory)
            self._made[what] = make(directory)
        return cast("T", self._made[what])
