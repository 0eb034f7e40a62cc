"""Problems: the one form in which checks report what is wrong, where, and how to fix it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from osbuild_compose.document import doc_links
from osbuild_compose.document.node import Step, Trail, path_text
from osbuild_compose.errors import DocumentError, InputError, Location, as_one


class Severity(StrEnum):
    """Whether a problem stops the build."""

    ERROR = "error"
    WARNING = "warning"


class Positions(Protocol):
    """A document that knows where its keys and values are: document.reader.Document."""

    def at_key(self, trail: Sequence[Step]) -> Location:
        """The position of the key at the end of the trail."""

    def at_value(self, trail: Sequence[Step]) -> Location:
        """The position of the value at the end of the trail, or of the nearest one around it."""


@dataclass(frozen=True)
class Problem:
    """One problem with one value.

    `trail` leads to the value from the top of what is checked: ("users", 0, "name"). `brief` is one sentence without a
    full stop and `hint` what to do about it. `expected` says what may be written instead, `suggestion` what was
    probably meant, `reference` is a page and heading of docs/. With `at_key` the key is pointed at rather than its
    value. `location` is known once the problem is located in a file.
    """

    trail: Trail
    brief: str
    hint: str = ""
    severity: Severity = Severity.ERROR
    expected: str = ""
    suggestion: str = ""
    reference: str = ""
    at_key: bool = False
    location: Location | None = None

    def within(self, *steps: Step) -> "Problem":
        """The same problem as seen from further up: `steps` lead to what was checked."""
        return replace(self, trail=(*steps, *self.trail))

    def located(
        self, document: Positions | None, reference: Callable[[Sequence[Step]], str] = doc_links.key_page
    ) -> "Problem":
        """The problem with its position in the document, and the page about its key unless it names one itself."""
        find = document and (document.at_key if self.at_key else document.at_value)
        return replace(
            self,
            location=self.location or (find(self.trail) if find else None),
            reference=self.reference or reference(self.trail),
        )

    def error(self) -> InputError:
        """The problem as an exception."""
        return InputError(
            self.brief,
            hint=self.hint,
            location=self.location,
            path=path_text(self.trail),
            expected=self.expected,
            suggestion=self.suggestion,
            reference=self.reference,
        )


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Located problems in the order of their lines."""

    def position(problem: Problem) -> tuple[int, int]:
        place = problem.location or Location("")
        return place.line, place.column

    return sorted(problems, key=position)


def as_error(problems: Sequence[Problem]) -> InputError:
    """The problems as one exception: the only one of them, or a DocumentError with all. There is at least one."""
    return as_one([problem.error() for problem in problems], DocumentError)


def within(trail: Trail, problems: Iterable[Problem]) -> Iterator[Problem]:
    """The problems of what is at the end of the trail, as seen from the top."""
    return (problem.within(*trail) for problem in problems)


class InvalidValueError(ValueError):
    """A value that cannot be read or converted: `problem` says why, with a trail that begins at the value itself."""

    def __init__(self, brief: str, hint: str = "") -> None:
        super().__init__(brief)
        self.problem = Problem((), brief, hint)
