"""Traces a template while it renders: which line wrote which part of the output, and which values were read.

Marks, which marking.py inserts into a template, write their numbers into the output, in characters that no value can
contain (filters.emit escapes them). They are white space to Python: text that a template captures and finds empty when
stripped is also empty with marks. Values read after a mark are recorded with it.

Values read for a variable of the template (`{% set %}`) are recorded again wherever the variable is used: at the top of
a template that extends another one, there is no output that could contain a mark.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from markupsafe import Markup

from osbuild_compose.document.node import Trail

_BEGIN, _ZERO, _ONE, _END = "\x1c", "\x1d", "\x1e", "\x1f"
_IN_TEXT = re.compile(f"{_BEGIN}([{_ZERO}{_ONE}]+){_END}")


class Part(Enum):
    """What a mark stands for: a line of text, or the beginning or end of something that writes text."""

    LINE = auto()
    BEGIN = auto()
    END = auto()


@dataclass(frozen=True)
class Site:
    """A place in a template. what is "block", "macro", "if", "for", "value" or "text"; block and macro have a name.

    names are the names in the marked statement; some may be variables of the template.
    """

    part: Part
    what: str
    name: str
    file: str
    line: int
    names: tuple[str, ...] = ()


@dataclass
class Mark:
    """A site that was passed while rendering; `reads` are the values read between it and the next one."""

    site: Site
    reads: list[Trail] = field(default_factory=list)


class Tracer:
    """A record of the sites that were passed and the values that were read while a template was rendered."""

    def __init__(self) -> None:
        self.sites: list[Site] = []
        self.marks: list[Mark] = []
        # The names used and set by statements without a mark.
        self._notes: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
        self._variables: dict[str, list[Trail]] = {}  # the values read for them
        # Variables being set, and the values read for them so far.
        self._open: list[tuple[tuple[str, ...], list[Trail]]] = []

    def note(self, used: tuple[str, ...], targets: tuple[str, ...] = ()) -> int:
        """Register a statement that uses and sets these names; returns its number for set_begins() and uses()."""
        self._notes.append((used, targets))
        return len(self._notes) - 1

    def read(self, trail: Trail) -> None:
        """Record that this value of the blueprint is read."""
        if self._open:
            self._open[-1][1].append(trail)
        if self.marks:
            self.marks[-1].reads.append(trail)

    def passed(self, site: int) -> Markup:
        """Record that the site with this number is passed; returns the mark for the output."""
        self.marks.append(Mark(self.sites[site]))
        self._read_again(self.sites[site].names)
        number = f"{len(self.marks) - 1:b}".translate({ord("0"): _ZERO, ord("1"): _ONE})
        return Markup(f"{_BEGIN}{number}{_END}")  # noqa: S704 - no HTML here

    def set_begins(self, number: int) -> None:
        """Record that the statement with this number begins to set variables."""
        used, targets = self._notes[number]
        self._open.append((targets, []))
        self._read_again(used)

    def set_ends(self, _begun: None, value: Any) -> Any:
        """Record that the statement that began last has set its variables; returns the value."""
        targets, reads = self._open.pop()
        self._variables.update(dict.fromkeys(targets, reads))
        return value

    def uses(self, number: int) -> None:
        """Record that the statement with this number is run and uses variables."""
        self._read_again(self._notes[number][0])

    def _read_again(self, names: Iterable[str]) -> None:
        for name in names:
            for trail in self._variables.get(name, ()):
                self.read(trail)

    def split(self, text: str) -> tuple[str, list[tuple[int, Mark]]]:
        """The rendered text without its marks, and the marks with their positions in it, in their order."""
        plain: list[str] = []
        found: list[tuple[int, Mark]] = []
        length = 0
        for index, part in enumerate(_IN_TEXT.split(text)):
            if index % 2:
                number = part.translate({ord(_ZERO): "0", ord(_ONE): "1"})
                found.append((length, self.marks[int(number, 2)]))
            else:
                plain.append(part)
                length += len(part)
        return "".join(plain), found
