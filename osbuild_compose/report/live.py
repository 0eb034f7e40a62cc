"""Live progress on a terminal: lines of finished steps stay, those of running steps are updated."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from osbuild_compose.report.events import End, Event, Log, Note, Progress, Start, State
from osbuild_compose.report.steps import Counter, clock, duration, end_text, progress_text
from osbuild_compose.report.terminal import printable, unfiltered

BAR = 24  # columns
_SIZE = re.compile(r"[1-9][0-9]{0,2}")
_STYLES = {State.CACHED: "dim", State.DONE: "", State.FAILED: "bold red"}


class _Console(Console):
    """Filters all text, as SafeStream does, which cannot tell the library's control sequences from other ones."""

    def __init__(self, out: TextIO) -> None:
        sizes = {name: value for name, value in os.environ.items() if name in ("COLUMNS", "LINES")}
        odd = {name for name, value in sizes.items() if not _SIZE.fullmatch(value)}
        environment = {name: value for name, value in os.environ.items() if name not in odd}
        super().__init__(file=unfiltered(out), highlight=False, markup=False, emoji=False, _environ=environment)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """The parts of the output; text never controls the terminal."""
        for part in super().render(renderable, options):
            text = part.text if part.control else "\n".join(map(printable, part.text.split("\n")))
            yield Segment(text, part.style, part.control)


class Live:
    """Shows each running step with its time, a progress bar, and the last line of its output."""

    def __init__(self, out: TextIO, *, verbose: bool) -> None:
        """Everything is written to the terminal `out`."""
        self._verbose = verbose
        self._console = _Console(out)
        self._count = Counter()
        self._running = _Running(self._count)
        self._live = RichLive(
            self._running,
            console=self._console,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def show(self, event: Event) -> None:
        """Show one event."""
        self._count.count(event)
        self._running.see(event)
        match event:
            case Log() if self._verbose:
                self._print(f"  {event.line}", "dim")
            case End():
                self._print(f"{self._count.label(event.id)} {end_text(event)}", _STYLES[event.state])
            case Note():
                self._print(f"note: {event.message}", "cyan")

    def close(self) -> None:
        """Remove the lines of running steps."""
        self._live.stop()

    def _print(self, text: str, style: str) -> None:
        self._console.print(Text(printable(text), style=style), soft_wrap=True)


@dataclass
class _Step:
    """A running step."""

    id: str
    name: str
    since: float
    progress: Progress | None = None
    output: str = ""


class _Running:
    """The lines of running steps, redrawn several times a second for the times in them."""

    def __init__(self, count: Counter) -> None:
        self._count = count
        self._spinner = Spinner("line")
        self._steps: dict[str, _Step] = {}

    def see(self, event: Event) -> None:
        match event:
            case Start():
                self._steps[event.id] = _Step(event.id, event.name, clock())
            case Progress() if event.id in self._steps:
                self._steps[event.id].progress = event
            case Log() if event.id in self._steps:
                self._steps[event.id].output = event.line.strip()
            case End():
                self._steps.pop(event.id, None)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = Table.grid(padding=(0, 1))
        for _ in range(3):
            lines.add_column(no_wrap=True)
        lines.add_column(no_wrap=True, overflow="ellipsis")
        for step in list(self._steps.values()):
            name = f"{self._count.label(step.id)} {step.name} {duration(clock() - step.since)}"
            what = Text(printable(name), style="bold")
            lines.add_row(self._spinner.render(console.get_time()), what, _bar(step.progress), _rest(step))
        yield lines


def _bar(progress: Progress | None) -> ProgressBar | str:
    if progress is None or progress.total <= 0:
        return ""
    return ProgressBar(total=progress.total, completed=progress.done, width=BAR)


def _rest(step: _Step) -> Text:
    """The progress of a step as text, and the last line of its output."""
    text = Text(printable(progress_text(step.progress)) if step.progress else "")
    if step.output:
        text.append(f"{'  ' if text else ''}{printable(step.output)}", style="dim")
    return text
