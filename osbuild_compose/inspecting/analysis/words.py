"""Words as a shell takes them."""

import shlex

_LONGEST = 16 * 1024  # characters of a line: the time that shlex takes grows with the square of a word's length


def shell_words(line: str) -> list[str] | None:
    """The words of a line with their quotes undone; None if a quote does not end, or the line is longer than any is."""
    try:
        return shlex.split(line) if len(line) <= _LONGEST else None
    except ValueError:
        return None
