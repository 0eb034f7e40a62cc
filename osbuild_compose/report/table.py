"""Tables: aligned with a bold heading on a terminal, tab-separated elsewhere."""

import time
from collections.abc import Sequence
from typing import TextIO

from osbuild_compose.report.style import Style, is_terminal


def show(heading: Sequence[str], rows: Sequence[Sequence[str]], out: TextIO) -> None:
    """Write a table. A heading that begins with ">" is of a column aligned to the right.

    Elsewhere than on a terminal the columns are separated by a tab and there is no heading, for `cut` and `awk`.
    """
    if not is_terminal(out):
        out.writelines("\t".join(row) + "\n" for row in rows)
        return
    first, *lines = aligned(heading, rows)
    out.write(Style.for_stream(out).bold(first) + "\n")
    out.writelines(line + "\n" for line in lines)


def aligned(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table with aligned columns, the heading first."""
    names = [name.removeprefix(">") for name in heading]
    widths = [max(map(len, column)) for column in zip(names, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if name.startswith(">") else cell.ljust(width)
            for name, cell, width in zip(heading, cells, widths, strict=True)
        ]
        return "  ".join(padded).rstrip()

    return [line(names), *map(line, rows)]


def ago(moment: float) -> str:
    """How long ago a time (seconds since 1970) was: 2 hours ago."""
    seconds = max(0, int(time.time() - moment))
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
