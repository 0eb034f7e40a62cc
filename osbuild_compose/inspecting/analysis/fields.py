"""Splitting a line into fields as a shell does."""

import shlex

_LONGEST = 16 * 1024  # characters of a line: shlex takes quadratic time for a long field


def shell_fields(line: str) -> list[str] | None:
    """The fields of a line without their quotes; None if a quote is not closed, or the line is too long."""
    try:
        return shlex.split(line) if len(line) <= _LONGEST else None
    except ValueError:
        return None
