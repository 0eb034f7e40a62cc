"""The table at the end of a build: each image with its size, digest and time, and how much came from the store."""

import shutil
from collections.abc import Sequence
from pathlib import PurePath
from typing import TextIO

from osbuild_compose.report import style, table
from osbuild_compose.report.events import Output, PipelineResult
from osbuild_compose.report.steps import amount, duration

HEADING = ("image", ">size", "sha256", ">time", "from the store")
SHORT = 12  # digits of a sha256 where there is no room for all
NONE = "-"


def show(results: Sequence[PipelineResult], names: Sequence[str], seconds: float, out: TextIO) -> None:
    """Write the table, and how long all took together. names are those of the images, for what has no file."""
    rows = [
        row for number, made in enumerate(results) for row in _rows(made, names[number] if number < len(names) else "")
    ]
    if rows:
        lines = table.aligned(HEADING, rows)
        if out.isatty() and max(map(len, lines)) > shutil.get_terminal_size().columns:
            lines = table.aligned(HEADING, [_shortened(row) for row in rows])
        heading, *rest = lines
        out.write(f"{style.Style.for_stream(out).bold(heading)}\n")
        out.writelines(f"{line}\n" for line in rest)
    out.write(f"done in {duration(seconds)}\n")
    out.flush()


def _rows(made: PipelineResult, name: str) -> list[tuple[str, ...]]:
    time = duration(made.seconds) if any(not step.cached for step in made.steps) else NONE
    if not made.success:
        return [(name or NONE, "failed", NONE, time, _from_store(made))]
    return [(PurePath(one.path).name, *_about(one), time, _from_store(made)) for one in made.outputs]


def _about(output: Output) -> tuple[str, str]:
    return amount(output.size) if output.size is not None else NONE, output.sha256 or NONE


def _from_store(made: PipelineResult) -> str:
    cached = sum(step.cached for step in made.steps)
    return "all" if cached == len(made.steps) else f"{cached} of {len(made.steps)} steps"


def _shortened(row: tuple[str, ...]) -> tuple[str, ...]:
    name, size, digest, *rest = row
    return (name, size, f"{digest[:SHORT]}…" if len(digest) > SHORT else digest, *rest)
