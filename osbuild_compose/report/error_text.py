"""Formats errors and warnings as text for people, and as data for programs."""

import unicodedata
from typing import Any, TextIO

from osbuild_compose.errors import ComposeError, Location
from osbuild_compose.problem import Problem
from osbuild_compose.report.style import Style
from osbuild_compose.report.terminal import printable

MAX_TEXT = 160  # columns of a source line that are shown


def show(error: ComposeError, out: TextIO) -> None:
    """Write the error, or all that it combines, to `out`."""
    style = Style.for_stream(out)
    each = error.each()
    out.write("\n".join(text(one, style) for one in each))
    if len(each) > 1:
        out.write(f"\n{len(each)} errors\n")
    out.flush()


def warn(problem: Problem, out: TextIO) -> None:
    """Write a warning to `out`, in the form of an error."""
    style = Style.for_stream(out)
    out.write(_text(problem.error(), style.yellow("warning:"), style))
    out.flush()


def text(error: ComposeError, style: Style) -> str:
    """The error in lines: location and message, the source line with a caret below, details, hint, reference."""
    return _text(error, style.red("error:"), style)


def _text(error: ComposeError, word: str, style: Style) -> str:
    place = f"{printable(str(error.location))}: " if error.location else ""
    lines = [f"{style.bold(place)}{word} {printable(error.brief)}"]
    if error.location and error.location.text.strip():
        lines += _source(error.location, style)
    lines += [f"    {printable(line)}" for line in error.details]
    if error.hint:
        lines.append(f"  {style.cyan('hint:')} {printable(error.hint)}")
    if error.reference:
        lines.append(f"  {style.cyan('see:')} {printable(error.reference)}")
    return "\n".join(lines) + "\n"


def as_data(error: ComposeError) -> dict[str, Any]:
    """One error as JSON data. Fields that do not apply are empty; lines and columns count from 1."""
    place = error.location or Location("")
    return {
        "file": place.file,
        "line": place.line,
        "column": place.column,
        "path": error.path,
        "message": error.brief,
        "expected": error.expected,
        "suggestion": error.suggestion,
        "hint": error.hint,
        "reference": error.reference,
        "details": list(error.details),
    }


def _source(location: Location, style: Style) -> list[str]:
    # Of a long line, the part around the position is shown.
    start = max(0, location.column - MAX_TEXT // 2) if location.column > MAX_TEXT else 0
    shown = location.text[start : start + MAX_TEXT]
    before = location.column - 1 - start
    indent = "".join("\t" if character == "\t" else " " * _width(character) for character in shown[:before])
    marks = "^" * max(1, sum(map(_width, shown[before : before + location.length])))
    return [f"    {printable(shown)}", f"    {indent}{style.red(marks)}"]


def _width(character: str) -> int:
    """The number of terminal columns that the character takes."""
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
