"""Trees put together from layers, for stages to change and assemblers to read: as overlays, or as plain directories."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runner.store.layer import Survey


@dataclass(frozen=True)
class Change:
    """What a stage did: which entries, and the directory that they can be read from when archiving them."""

    directory: Path
    contents: Survey


@dataclass
class Writing:
    """A tree at work, and what became different once the work is done."""

    tree: Path
    change: Change | None = None


class Trees(Protocol):
    """Makes trees. A stack is the keys of a tree's layers, lowest first; a missing archive is a CorruptLayerError."""

    background: bool
    """Whether a change may be archived while later stages run."""

    def ensure(self, key: str) -> None:
        """Have a layer at hand. Raises CorruptLayerError when its archive was damaged."""

    def reading(self, stack: tuple[str, ...]) -> AbstractContextManager[Path]:
        """The tree of a stack, not to be written to."""

    def writing(self, stack: tuple[str, ...], key: str, epoch: int) -> AbstractContextManager[Writing]:
        """The tree of a stack for a stage to change.

        When the work ends well, times that the clock wrote become `epoch` (seconds since 1970), what changed is at
        hand as the layer `key`, and `change` says what to archive.
        """
