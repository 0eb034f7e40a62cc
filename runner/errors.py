"""What can go wrong, as values that the edge of the program renders; nothing below it exits or prints."""

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, TextIO


def printable(text: str) -> str:
    """The text without what would move a terminal's cursor or change its colours: it may come from anybody."""
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


class Kind(StrEnum):
    """Whose fault it is; decides the exit code."""

    INPUT = "input"
    BUILD = "build"
    ENVIRONMENT = "environment"
    INTERRUPTED = "interrupted"


EXIT_CODES = {Kind.INPUT: 2, Kind.BUILD: 1, Kind.ENVIRONMENT: 2, Kind.INTERRUPTED: 130}


@dataclass
class RunnerError(Exception):
    """An error that a person can act on.

    message says what and where in one line, details are further lines, hint says what to do. stage is the name of
    the stage that failed, manifest the file that its pipeline was kept in, and command reproduces the failure.
    """

    kind: Kind
    message: str
    details: list[str] = field(default_factory=list)
    hint: str = ""
    stage: str = ""
    manifest: str = ""
    command: str = ""

    @property
    def exit_code(self) -> int:
        """1 the build failed, 2 the input or the machine is not right, 130 interrupted."""
        return EXIT_CODES[self.kind]

    def __str__(self) -> str:
        return self.message

    def fields(self) -> dict[str, Any]:
        """The error as JSON values."""
        return {**asdict(self), "kind": self.kind.value}

    def print(self, out: TextIO) -> None:
        """Write it for a person: what and where, details, how to go on."""
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
    return RunnerError(Kind.INPUT, message, details or [], hint)


def environment_error(message: str, hint: str = "", details: list[str] | None = None) -> RunnerError:
    """The machine lacks something that the build needs."""
    return RunnerError(Kind.ENVIRONMENT, message, details or [], hint)


def build_error(message: str, hint: str = "", details: list[str] | None = None) -> RunnerError:
    """Something failed while building."""
    return RunnerError(Kind.BUILD, message, details or [], hint)


def interrupted() -> RunnerError:
    """Somebody asked to stop."""
    return RunnerError(Kind.INTERRUPTED, "interrupted", hint="what had finished is kept in the store")
