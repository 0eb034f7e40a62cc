"""Colours for terminals, unless NO_COLOR is set."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from osbuild_compose.report.terminal import ESCAPE


@dataclass(frozen=True)
class Style:
    """Colours text for a SafeStream (terminal.py), or leaves it as it is."""

    color: bool

    @classmethod
    def for_stream(cls, out: TextIO, environ: Mapping[str, str] = os.environ) -> "Style":
        """The style for writing to `out`."""
        return cls(color=is_terminal(out, environ) and not environ.get("NO_COLOR"))

    def bold(self, text: str) -> str:
        """Bold."""
        return self._sgr("1", text)

    def red(self, text: str) -> str:
        """For errors."""
        return self._sgr("1;31", text)

    def yellow(self, text: str) -> str:
        """For warnings."""
        return self._sgr("1;33", text)

    def cyan(self, text: str) -> str:
        """For hints."""
        return self._sgr("36", text)

    def dim(self, text: str) -> str:
        """For less important text."""
        return self._sgr("2", text)

    def _sgr(self, code: str, text: str) -> str:
        return f"{ESCAPE}[{code}m{text}{ESCAPE}[0m" if self.color and text else text


def is_terminal(out: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether `out` is a terminal that can move its cursor, outside of CI jobs."""
    return out.isatty() and environ.get("TERM", "dumb") != "dumb" and not environ.get("CI")
