"""Errors with a message, details and a hint. Only the command line prints them and exits."""

import re
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Characters without a shape that Unicode does not count among the control and format characters.
_INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\uffa0\U000e0100-\U000e01ef]")
_UNUSUAL = re.compile(r"[^\t\x20-\x7e]")


def printable(text: str) -> str:
    """The text in one line, with U+FFFD for characters that control a terminal, are invisible or reorder text."""
    return _UNUSUAL.sub(_shown, text)


def _shown(match: re.Match[str]) -> str:
    character = match[0]
    return character if character.isprintable() and not _INVISIBLE.match(character) else REPLACEMENT


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
    name of the stage that failed, manifest the file that its pipeline was saved in, and command reproduces the failure;
    log is the file with all that it printed, if that was a lot.
    """

    kind: ErrorKind
    message: str
    details: list[str] = field(default_factory=list)
    hint: str = ""
    stage: str = ""
    manifest: str = ""
    command: str = ""
    log: str = ""

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
        if self.log:
            print(f"its whole output: {self.log}", file=out)
        if self.hint:
            print(f"hint: {printable(self.hint)}", file=out)
        if self.command:
            print(f"to run it again: {printable(self.command)}", file=out)
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


def absolute(path: str) -> Path:
    """The path as an absolute one. Raises RunnerError (environment) if the working directory does not exist."""
    try:
        return Path(path).absolute()
    except OSError:
        raise environment_error(
            "the working directory does not exist any more", hint="change to another one: cd"
        ) from None


def interrupted() -> RunnerError:
    """The user or the system asked to stop."""
    return RunnerError(ErrorKind.INTERRUPTED, "interrupted", hint="finished stages are kept in the store")
