"""Live progress on a terminal: what runs is updated in place, and lines of what has run stay above it."""

import os
import re
from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import Progress as RichProgress
from rich.progress import ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Column
from rich.text import Text

from osbuild_compose.report.events import End, Event, Log, Note, Start, State
from osbuild_compose.report.steps import Running, Tracker, activity, clock, end_text, remaining_text, timer
from osbuild_compose.report.terminal import printable, unfiltered

WIDE, NARROW = 100, 60  # columns of terminals, for the width of the bar
TIMES = 15  # columns of "12:34 / ~12:34"
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
    """Shows each running step with its time and a bar, below it what it does, and last how far the build is."""

    def __init__(self, out: TextIO, *, verbose: bool, names: Sequence[str] = ()) -> None:
        """Everything is written to the terminal `out`."""
        self._verbose = verbose
        self._console = _Console(out)
        self._steps = Tracker(names)
        self._tasks: dict[str, TaskID] = {}
        self._running = _Running(self._steps, self._console)
        self._running.start()

    def show(self, event: Event) -> None:
        """Show one event."""
        self._steps.see(event)
        match event:
            case Start():
                step = self._steps.running[event.id]
                title = f"{self._steps.prefix(event.id, always=False)}{step.title}"
                self._tasks[event.id] = self._running.add_task(printable(title), total=None, step=step)
            case Log() if self._verbose:
                self._print(f"{self._steps.prefix(event.id, always=False)}  {event.line}", "dim")
            case End():
                self._end(event)
            case Note():
                self._print(f"{self._steps.prefix(event.id, always=False)}note: {event.message}", "cyan")

    def close(self) -> None:
        """Remove the lines of running steps."""
        self._running.stop()

    def _end(self, event: End) -> None:
        if event.id in self._tasks:
            self._running.remove_task(self._tasks.pop(event.id))
        if event.state is not State.CACHED:
            title = f"{self._steps.prefix(event.id, always=False)}{self._steps.title(event.id, event.name)}"
            self._print(f"{title}: {end_text(event)}", _STYLES[event.state])

    def _print(self, text: str, style: str) -> None:
        self._console.print(Text(printable(text), style=style), soft_wrap=True)


class _Running(RichProgress):
    """The lines of running steps, redrawn several times a second for the times in them."""

    def __init__(self, steps: Tracker, console: Console) -> None:
        self._steps = steps
        self._screen = console  # used before `console` can be
        super().__init__(
            console=console,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            expand=True,
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        """A line for each step, with columns of fixed width, and a line about what it does; the build as a whole."""
        self.columns = _columns(self._screen.width)
        for task in self.tasks:
            yield self.make_tasks_table([task])
            yield _line(_detail(task.fields["step"]))
        yield _line(self._whole())

    def _whole(self) -> Text:
        steps = self._steps
        parts = [timer(steps.elapsed)]
        if steps.total:
            parts = [f"{steps.done} of {steps.total} step{'s' if steps.total > 1 else ''}", *parts]
        if steps.cached:
            parts.append(f"{steps.cached} from the store")
        return Text(", ".join(filter(None, [*parts, remaining_text(steps.remaining())])), style="dim")


def _columns(width: int) -> tuple[ProgressColumn, ...]:
    title = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    bar = 24 if width >= WIDE else 12
    return (
        SpinnerColumn("line", table_column=Column(width=1)),
        TextColumn("{task.description}", style="bold", markup=False, table_column=title),
        *([_Bar(bar)] if width >= NARROW else []),
        _Times(table_column=Column(width=TIMES, justify="right", no_wrap=True)),
    )


class _Bar(ProgressColumn):
    """The part of the expected time that has passed, or of the work that is done."""

    def __init__(self, width: int) -> None:
        super().__init__(table_column=Column(width=width))
        self._width = width

    def render(self, task: Task) -> ProgressBar:
        """The bar."""
        step: Running = task.fields["step"]
        done, total = 0.0, None
        if step.expected:
            done, total = min(clock() - step.since, step.expected * 0.99), step.expected
        elif step.progress and step.progress.total > 0:
            done, total = step.progress.done, step.progress.total
        return ProgressBar(total=total, completed=done, width=self._width, animation_time=task.get_time())


class _Times(ProgressColumn):
    """How long a step has been running, and how long it takes."""

    def render(self, task: Task) -> Text:
        """The times."""
        step: Running = task.fields["step"]
        whole = f" / ~{timer(step.expected)}" if step.expected and step.expected >= 1 else ""
        return Text(f"{timer(clock() - step.since)}{whole}")


def _line(text: Text) -> Text:
    text.no_wrap = True
    text.overflow = "ellipsis"
    return text


def _detail(step: Running) -> Text:
    """What a step does, and the last line of its output."""
    text = Text("  " + printable(activity(step)))
    if step.output:
        text.append(f"{'  ' if len(text) > 2 else ''}{printable(step.output)}", style="dim")
    return text
