"""Shows a build while it runs: live on a terminal, in lines elsewhere."""

from typing import Protocol, TextIO

from osbuild_compose.report import style
from osbuild_compose.report.events import End, Event, Log, Note, Progress, Start
from osbuild_compose.report.steps import Counter, clock, end_text, progress_text
from osbuild_compose.report.style import Style
from osbuild_compose.report.terminal import printable

SILENCE = 15.0  # seconds without a line about a step until its progress is shown


class Display(Protocol):
    """Shows events as they happen."""

    def show(self, event: Event) -> None:
        """Show one event."""

    def close(self) -> None:
        """Restore the terminal; nothing is shown afterwards."""


def display(out: TextIO, *, verbose: bool, plain: bool = False) -> Display:
    """The display for `out`. verbose shows the output of stages, too; plain means lines even on a terminal."""
    if style.is_terminal(out) and not plain:
        from osbuild_compose.report.live import Live  # noqa: PLC0415 - only a terminal needs rich

        return Live(out, verbose=verbose)
    return Lines(out, verbose=verbose)


class Lines:
    """A line for each event, for pipes, files and CI; long steps show their progress now and then."""

    def __init__(self, out: TextIO, *, verbose: bool) -> None:
        """Everything goes to `out`."""
        self._out = out
        self._verbose = verbose
        self._style = Style.for_stream(out)
        self._count = Counter()
        self._shown: dict[str, float] = {}  # when the last line about each step was written

    def show(self, event: Event) -> None:
        """Write the lines for one event."""
        self._count.count(event)
        match event:
            case Start():
                self._line(f"{self._count.label(event.id)} {event.name} ...")
                self._shown[event.id] = clock()
            case Progress() if clock() - self._shown.get(event.id, clock()) >= SILENCE:
                self._line(f"{self._count.label(event.id)} {event.name}: {progress_text(event)}")
                self._shown[event.id] = clock()
            case Log() if self._verbose:
                self._line(f"  | {event.line}")
            case End():
                self._line(f"{self._count.label(event.id)} {end_text(event)}")
            case Note():
                self._line(f"note: {event.message}")

    def close(self) -> None:
        """Nothing to restore."""

    def _line(self, text: str) -> None:
        self._out.write(printable(text) + "\n")
        self._out.flush()
