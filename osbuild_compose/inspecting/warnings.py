"""Warnings: what could not be read, collected for the report instead of ending the inspection."""

from collections.abc import Generator
from contextlib import contextmanager

from osbuild_compose.inspecting.report import InspectionWarning
from osbuild_compose.inspecting.tools import ToolError
from osbuild_compose.inspecting.tree import TooMuchError


class Warnings:
    """Collects warnings without duplicates."""

    def __init__(self) -> None:
        self._warnings: dict[InspectionWarning, None] = {}

    def add(self, message: str, hint: str = "") -> None:
        """Add a warning."""
        self._warnings[InspectionWarning(message, hint)] = None

    @property
    def all(self) -> tuple[InspectionWarning, ...]:
        """All warnings, in the order in which they were added."""
        return tuple(self._warnings)

    @contextmanager
    def instead_of_errors(self, what: str) -> Generator[None, None, None]:
        """Turn an error inside the block into a warning that `what` cannot be read."""
        try:
            yield
        except (ToolError, TooMuchError, OSError) as error:
            self.add(f"{what} cannot be read: {error}", getattr(error, "hint", ""))
