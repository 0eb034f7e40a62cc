"""The exceptions of osbuild_compose: errors that a person can act on.

Everything below the command line raises these, and never prints or exits; the command line shows all of them in the
same way (report/error_text.py) and exits with their `exit_code`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar


class ExitCode(IntEnum):
    """The exit status of this project's programs."""

    DONE = 0
    BUILD_FAILED = 1
    INPUT_WRONG = 2
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


# A signal has ended the program: 128 + SIGHUP, SIGINT, SIGTERM.
STOPPED = (ExitCode.HUNG_UP, ExitCode.INTERRUPTED, ExitCode.TERMINATED)


@dataclass(frozen=True)
class Location:
    """A position in a text file. line and column count from 1; 0 stands for the file as a whole.

    `text` is the line without its end, and `length` the number of columns to mark.
    """

    file: str
    line: int = 0
    column: int = 0
    text: str = ""
    length: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class ComposeError(Exception):
    """An error to show to a person: what is wrong, where, and what to do about it.

    brief is one sentence without a full stop; details are lines to show below it unchanged; hint says what to do;
    location is its position, if it is in a file; reference is a page and heading of docs/. For programs, path is the
    path of the value ("users.0.name"), expected says which values are valid, suggestion is what was probably meant.
    """

    exit_code = ExitCode.INPUT_WRONG

    def __init__(
        self,
        brief: str,
        *,
        details: Sequence[str] = (),
        hint: str = "",
        location: Location | None = None,
        path: str = "",
        expected: str = "",
        suggestion: str = "",
        reference: str = "",
    ) -> None:
        super().__init__(brief)
        self.brief = brief
        self.details = tuple(details)
        self.hint = hint
        self.location = location
        self.path = path
        self.expected = expected
        self.suggestion = suggestion
        self.reference = reference

    def __str__(self) -> str:
        return f"{self.location}: {self.brief}" if self.location else self.brief

    def each(self) -> tuple["ComposeError", ...]:
        """The individual errors: this one, or all that it combines."""
        return (self,)


class InputError(ComposeError):
    """Wrong input of the user: a blueprint, an option, a pipeline."""

    def each(self) -> tuple["InputError", ...]:
        """The individual errors: this one, or all that it combines."""
        return (self,)


class DocumentError(InputError):
    """Several errors, each once: in the order of the files in which they were found, and of the lines in each file."""

    def __init__(self, errors: Sequence[InputError]) -> None:
        """errors is not empty."""
        each: dict[tuple[str, str], InputError] = {}
        for error in errors:
            each.setdefault((str(error.location), error.brief), error)
        files = [error.location.file if error.location else "" for error in errors]

        def position(error: InputError) -> tuple[int, int, int]:
            place = error.location or Location("")
            return files.index(place.file), place.line, place.column

        ordered = sorted(each.values(), key=position)
        first = ordered[0]
        super().__init__(first.brief, details=first.details, hint=first.hint, location=first.location)
        self.errors = tuple(ordered)

    def each(self) -> tuple[InputError, ...]:
        """All of them."""
        return self.errors


class TemplateError(ComposeError):
    """A distribution's template or distro.yaml is wrong, not the blueprint."""


class TemplatesError(TemplateError):
    """Several errors of templates or distro.yaml files. `errors` is not empty."""

    def __init__(self, errors: Sequence[ComposeError]) -> None:
        first = errors[0]
        super().__init__(first.brief, details=first.details, hint=first.hint, location=first.location)
        self.errors = tuple(errors)

    def each(self) -> tuple[ComposeError, ...]:
        """All of them."""
        return self.errors


class HostError(ComposeError):
    """This machine lacks something that is needed, or does not permit it."""


class BuildError(ComposeError):
    """The build failed after it was started. step is osbuild's id of the stage or assembler that failed, if one did."""

    exit_code = ExitCode.BUILD_FAILED
    step = ""


class SeveralErrors(BuildError):  # noqa: N818 - a combination of errors
    """The errors of several builds that were run together. `errors` is not empty."""

    def __init__(self, errors: Sequence[ComposeError]) -> None:
        super().__init__(errors[-1].brief, details=errors[-1].details, hint=errors[-1].hint)
        self.errors = tuple(errors)

    def each(self) -> tuple[ComposeError, ...]:
        """All of them."""
        return self.errors


Error = TypeVar("Error", bound=ComposeError)


def as_one(errors: Sequence[Error], kind: Callable[[Sequence[Error]], Error]) -> Error:
    """The only error, or all of them combined to one of this kind. errors is not empty."""
    return errors[0] if len(errors) == 1 else kind(errors)


class Interrupted(ComposeError):  # noqa: N818 - it is an event, not an error
    """The user interrupted the command."""

    exit_code = ExitCode.INTERRUPTED

    def __init__(self, brief: str = "interrupted", *, hint: str = "", exit_code: int = ExitCode.INTERRUPTED) -> None:
        """exit_code is that of the signal."""
        super().__init__(brief, hint=hint)
        self.exit_code = ExitCode(exit_code)
