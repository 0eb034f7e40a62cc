"""Trees assembled from layers, for stages to change and assemblers to read: as overlays, or as plain directories."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runner.store.layer import LayerContents


@dataclass(frozen=True)
class Change:
    """What a stage changed: which entries, and the directory to archive them from."""

    directory: Path
    contents: LayerContents


@dataclass
class WritableTree:
    """A tree that a stage may change, and afterwards the change."""

    tree: Path
    change: Change | None = None


class Trees(Protocol):
    """Makes trees. A stack is the keys of a tree's layers, lowest first; a missing archive raises CorruptLayerError."""

    background: bool
    """Whether a change may be archived while later stages run."""

    def ensure(self, key: str) -> None:
        """Make sure that a layer can be used. Raises CorruptLayerError if its archive is damaged."""

    def reading(self, stack: tuple[str, ...]) -> AbstractContextManager[Path]:
        """The tree of a stack, to be read only."""

    def writing(self, stack: tuple[str, ...], key: str, epoch: int) -> AbstractContextManager[WritableTree]:
        """The tree of a stack for a stage to change.

        Afterwards, unless an exception was raised, modification times from the stage's run are `epoch` (seconds since
        1970), later trees can use the changes as the layer `key`, and `change` says what to archive.
        """
