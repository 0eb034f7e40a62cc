"""Answers to debconf's questions: lines as debconf-set-selections(1) reads them, or values by package and question."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from osbuild_compose.document.node import Trail
from osbuild_compose.problem import InvalidValueError, Problem

# debconf-devel(7), "Type"; `seen` is debconf-set-selections' own, for the flag that a question was seen.
TYPES = ("string", "boolean", "select", "multiselect", "note", "text", "password", "title", "error", "seen")
PASSWORD = "password"  # noqa: S105 - the name of a type
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]*")
_QUESTION = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._:/-]*")
_LIKE_PASSWORD = re.compile(r"passw(or)?d|passphrase|[-_/](pass|secret)\b|pw\b", re.IGNORECASE)
_INSTALLER = "d-i"
_OPERATORS = ("unset", "append", "remove", "replace")  # of blueprints, which questions are never called
_LINE_HINT = "a line is PACKAGE QUESTION TYPE VALUE, as `debconf-get-selections` prints it"


@dataclass(frozen=True)
class Answer:
    """The answer to one question; type None is the one that the package's own template has."""

    package: str
    question: str
    value: str
    type: str | None = None

    @property
    def is_password(self) -> bool:
        """Whether it is secret: by its type, or by the question's name where its package may say another type."""
        if self.type in (None, "string"):
            return _LIKE_PASSWORD.search(self.question) is not None
        return self.type == PASSWORD


def answers(data: Any) -> list[Answer]:
    """The answers in a valid value of `debconf`, in its order."""
    return [answer for _, answer in located(data)]


def located(data: Any) -> Iterator[tuple[Trail, Answer]]:
    """The answers in a value of `debconf`, each with its trail from there on."""
    return ((trail, answer) for trail, answer in _answers(data) if isinstance(answer, Answer))


def without_passwords(data: Any) -> Any:
    """A value of `debconf` without the answers that are secret."""
    secret = {trail for trail, answer in located(data) if answer.is_password}
    if isinstance(data, list):
        return [line for index, line in enumerate(data) if (index,) not in secret]
    if not isinstance(data, dict):
        return data
    left = {
        package: {question: value for question, value in questions.items() if (package, question) not in secret}
        for package, questions in data.items()
    }
    return {package: questions for package, questions in left.items() if questions}


def problems(data: Any) -> Iterator[Problem]:
    """What is wrong with a value of `debconf`, whose form the schema has checked, with trails from it on."""
    seen: dict[tuple[str, bool], Answer] = {}
    for trail, found in _answers(data):
        if isinstance(found, Problem):
            yield found.within(*trail)
            continue
        before = seen.setdefault((found.question, found.type == "seen"), found)
        # A question that packages share has a line for each of them.
        if before is not found and (before.package == found.package or before.value != found.value):
            hint = "remove one of them"
            if isinstance(data, list):
                hint += "; an inherited one with debconf: {remove: [LINE], append: [LINE]}"
            yield Problem(trail, f"`debconf` has {found.question} twice", hint)
        try:
            if isinstance(data, list):
                _check_names(found)
            elif found.question in _OPERATORS:
                brief = f"`{found.question}` is not a question of {found.package}"
                raise InvalidValueError(
                    brief, f"to drop an inherited answer: unset: [debconf.{found.package}.QUESTION]"
                )
            _check(found)
        except InvalidValueError as error:
            yield error.problem.within(*trail)


def of_line(line: str) -> Answer:
    """The answer in a line. Raises InvalidValueError."""
    match = re.fullmatch(r"\s*(\S+)\s+(\S+)\s+(\S+)(?:\s(.*))?", line)
    if line.lstrip().startswith("#") or match is None:
        raise InvalidValueError(f'"{line}" is not an answer to a question', _LINE_HINT)
    package, question, kind, value = match.groups()
    if kind not in TYPES and package != _INSTALLER:
        raise InvalidValueError(f"`{kind}` is not a type of questions", f"it is one of: {', '.join(TYPES)}")
    return Answer(package, question, value or "", kind)


def _check_names(answer: Answer) -> None:
    """Raise InvalidValueError for names in a line that are none. Those that are keys the schema has checked."""
    for text, pattern, what in ((answer.package, _PACKAGE, "a package"), (answer.question, _QUESTION, "a question")):
        if not pattern.fullmatch(text):
            raise InvalidValueError(f'"{text}" is not the name of {what} in debconf', _LINE_HINT)


def _check(answer: Answer) -> None:
    """Raise InvalidValueError for what debconf-set-selections would not take, or as something else."""
    if answer.package == _INSTALLER:
        brief = f"{answer.question} is a question of Debian's installer, which is not run here"
        raise InvalidValueError(brief, "other keys of the blueprint say such things: users, timezone, disk, packages")
    if re.search(r"[\0\n\r]", answer.value) or answer.value.endswith("\\"):
        brief = f"the answer to {answer.question} must be one line, without a backslash at its end"
        raise InvalidValueError(brief, "write it into the package's own configuration with `files`")
    if answer.type in ("boolean", "seen") and answer.value not in ("true", "false"):
        hint = f"write true or false, not {answer.value}" if answer.value else "write one of these"
        raise InvalidValueError(f"the answer to {answer.question} is true or false", hint)


def _answers(data: Any) -> Iterator[tuple[Trail, Answer | Problem]]:
    if isinstance(data, list):
        for index, line in enumerate(data):
            if isinstance(line, str):
                try:
                    yield (index,), of_line(line)
                except InvalidValueError as error:
                    yield (index,), error.problem
    elif isinstance(data, dict):
        for package, questions in data.items():
            for question, value in questions.items() if isinstance(questions, dict) else ():
                yield (package, question), _of_value(str(package), str(question), value)


def _of_value(package: str, question: str, value: Any) -> Answer:
    kind = None
    if isinstance(value, dict):
        kind, value = value.get("type"), value.get("value", "")
    if isinstance(value, bool):
        return Answer(package, question, "true" if value else "false", kind or "boolean")
    if isinstance(value, list):
        return Answer(package, question, ", ".join(map(str, value)), kind or "multiselect")
    return Answer(package, question, str(value), kind)
