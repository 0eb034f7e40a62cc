"""Progress on a terminal: finished steps stay as lines, the running ones have lines that move."""

from dataclasses import dataclass
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from osbuild_compose.report.events import End, Event, Log, Note, Progress, Start, State
from osbuild_compose.report.progress import Counter, clock, done_of, duration, ended
from osbuild_compose.report.style import printable

BAR = 24  # columns
_STYLES = {State.CACHED: "dim", State.DONE: "", State.FAILED: "bold red"}


class Live:
    """Shows each running step with its time, a bar of how far it is, and the last thing it said."""

    def __init__(self, out: TextIO, *, verbose: bool) -> None:
        """Everything goes to the terminal `out`."""
        self._verbose = verbose
        self._console = Console(file=out, highlight=False, markup=False, emoji=False)
        self._count = Counter()
        self._running = _Running(self._count)
        self._live = RichLive(self._running, console=self._console, refresh_per_second=8, transient=True)
        self._live.start()

    def show(self, event: Event) -> None:
        """Show one event."""
        self._count.see(event)
        self._running.see(event)
        match event:
            case Log() if self._verbose:
                self._print(f"  {printable(event.line)}", "dim")
            case End():
                self._print(f"{self._count.of(event.id)} {ended(event)}", _STYLES[event.state])
            case Note():
                self._print(f"note: {event.message}", "cyan")

    def close(self) -> None:
        """Take the moving lines away."""
        self._live.stop()

    def _print(self, text: str, style: str) -> None:
        self._console.print(Text(text, style=style), soft_wrap=True)


@dataclass
class _Step:
    """A running step."""

    id: str
    name: str
    since: float
    progress: Progress | None = None
    said: str = ""


class _Running:
    """The moving lines; drawn anew several times a second, so that the time in them goes on."""

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
                self._steps[event.id].said = printable(event.line.strip())
            case End():
                self._steps.pop(event.id, None)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = Table.grid(padding=(0, 1))
        for _ in range(3):
            lines.add_column(no_wrap=True)
        lines.add_column(no_wrap=True, overflow="ellipsis")
        for step in list(self._steps.values()):
            what = Text(f"{self._count.of(step.id)} {step.name} {duration(clock() - step.since)}", style="bold")
            lines.add_row(self._spinner.render(console.get_time()), what, _bar(step.progress), _rest(step))
        yield lines


def _bar(progress: Progress | None) -> ProgressBar | str:
    if progress is None or progress.total <= 0:
        return ""
    return ProgressBar(total=progress.total, completed=progress.done, width=BAR)


def _rest(step: _Step) -> Text:
    """How far a step is, in words, and what it said last."""
    text = Text(done_of(step.progress) if step.progress else "")
    if step.said:
        text.append(f"{'  ' if text else ''}{step.said}", style="dim")
    return text
