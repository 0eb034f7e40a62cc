"""What the formats of one run share."""

from dataclasses import dataclass

from stagelib.disk import layout, planner


@dataclass(frozen=True)
class RawDisk:
    """The raw disk that formats of disks convert: its file, which they leave as it is, and what is on it."""

    path: str
    layout: layout.Disk
    plan: planner.Plan


@dataclass(frozen=True)
class Run:
    """One run of the assembler. epoch: seconds since 1970; `disk` is there for formats that are made from disks.

    identity: a UUID from which formats that need further identifiers make theirs.
    """

    tree: str
    epoch: int
    identity: str
    disk: RawDisk | None = None

    @property
    def raw(self) -> RawDisk:
        """The disk. Raises AssertionError for a format that is not registered as one of disks."""
        assert self.disk is not None
        return self.disk
