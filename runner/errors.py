"""Errors with a message, details and a hint. Only the command line prints them and exits."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, TextIO


def printable(text: str) -> str:
    """The text without control characters, which could move a terminal's cursor or change its colours."""
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


class ErrorKind(StrEnum):
    """The cause of an error; it decides the exit code."""

    INPUT = "input"
    BUILD = "build"
    ENVIRONMENT = "environment"
    INTERRUPTED = "interrupted"


EXIT_CODES = {ErrorKind.INPUT: 2, ErrorKind.BUILD: 1, ErrorKind.ENVIRONMENT: 2, ErrorKind.INTERRUPTED: 130}


@dataclass
class RunnerError(Exception):
    """An error that the user can act on.

    message says in one line what is wrong and where, details are further lines, hint says what to do. stage is the
    name of the stage that failed, manifest the file that its pipeline was saved in, and command reproduces the failure.
    """

    kind: ErrorKind
    message: str
    details: list[str] = field(default_factory=list)
    hint: str = ""
    stage: str = ""
    manifest: str = ""
    command: str = ""

    @property
    def exit_code(self) -> int:
        """1: the build failed, 2: the input or the machine is wrong, 130: interrupted."""
        return EXIT_CODES[self.kind]

    def __str__(self) -> str:
        return self.message

    def fields(self) -> dict[str, Any]:
        """The error as JSON values."""
        return {**asdict(self), "kind": self.kind.value}

    def print(self, out: TextIO) -> None:
        """Write the error for people: the message, details, the hint, and the command to run the step again."""
        print(f"error: {printable(self.message)}", file=out)
        for line in self.details:
            print(f"  {printable(line)}", file=out)
        if self.hint:
            print(f"hint: {self.hint}", file=out)
        if self.command:
            print(f"to run it again: {self.command}", file=out)
        out.flush()


def input_error(message: str, hint: str = "", details: list[str] | None = None) -> RunnerError:
    """The pipeline or an option is wrong."""
    return RunnerError(ErrorKind.INPUT, message, details or [], hint)


def environment_error(message: str, hint: str = "", details: list[str] | None = None) -> RunnerError:
    """The machine lacks something that the build needs, or forbids it."""
    return RunnerError(ErrorKind.ENVIRONMENT, message, details or [], hint)


def build_error(message: str, hint: str = "", details: list[str] | None = None) -> RunnerError:
    """Something failed while building."""
    return RunnerError(ErrorKind.BUILD, message, details or [], hint)


def interrupted() -> RunnerError:
    """The user or the system asked to stop."""
    return RunnerError(ErrorKind.INTERRUPTED, "interrupted", hint="finished stages are kept in the store")
