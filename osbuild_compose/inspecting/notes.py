"""What could not be told, kept for the end instead of ending the inspection."""

from collections.abc import Generator
from contextlib import contextmanager

from osbuild_compose.inspecting.report import Note
from osbuild_compose.inspecting.tools import ToolError
from osbuild_compose.inspecting.tree import TooMuchError


class Notes:
    """Collects notes, each once."""

    def __init__(self) -> None:
        self._notes: dict[Note, None] = {}

    def add(self, message: str, hint: str = "") -> None:
        """Keep a note."""
        self._notes[Note(message, hint)] = None

    @property
    def all(self) -> tuple[Note, ...]:
        """All of them, in the order they came."""
        return tuple(self._notes)

    @contextmanager
    def instead_of_errors(self, what: str) -> Generator[None, None, None]:
        """While it lasts, an error ends only what is done inside and becomes a note that `what` cannot be read."""
        try:
            yield
        except (ToolError, TooMuchError, OSError) as error:
            self.add(f"{what} cannot be read: {error}", getattr(error, "hint", ""))
