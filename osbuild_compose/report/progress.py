"""Showing a build while it runs: live on a terminal, line by line elsewhere."""

import time
from typing import Protocol, TextIO

from osbuild_compose.report import style
from osbuild_compose.report.events import End, Event, Log, Note, Plan, Progress, Start, State
from osbuild_compose.report.style import Style, printable

SILENCE = 15.0  # seconds after which a step that goes on says how far it is


class Display(Protocol):
    """Takes events as they happen."""

    def show(self, event: Event) -> None:
        """Show one event."""

    def close(self) -> None:
        """Leave the terminal as it was; nothing is shown after it."""


def display(out: TextIO, *, verbose: bool, steady: bool = False) -> Display:
    """The display that suits `out`. verbose shows what stages print as well; steady asks for plain lines."""
    if style.is_terminal(out) and not steady:
        from osbuild_compose.report.live import Live  # noqa: PLC0415 - only a terminal needs rich

        return Live(out, verbose=verbose)
    return Lines(out, verbose=verbose)


class Lines:
    """One line for each thing that happens: for pipes, files and CI. Of what takes long, now and then how far it is."""

    def __init__(self, out: TextIO, *, verbose: bool) -> None:
        """Everything goes to `out`."""
        self._out = out
        self._verbose = verbose
        self._style = Style.of(out)
        self._count = Counter()
        self._told: dict[str, float] = {}  # when something was told last, by step

    def show(self, event: Event) -> None:
        """Write the lines for one event."""
        self._count.see(event)
        match event:
            case Start():
                self._line(f"{self._count.of(event.id)} {event.name} ...")
                self._told[event.id] = clock()
            case Progress() if clock() - self._told.get(event.id, clock()) >= SILENCE:
                self._line(f"{self._count.of(event.id)} {event.name}: {done_of(event)}")
                self._told[event.id] = clock()
            case Log() if self._verbose:
                self._line(f"  | {printable(event.line)}")
            case End():
                self._line(f"{self._count.of(event.id)} {ended(event)}")
            case Note():
                self._line(f"note: {event.message}")

    def close(self) -> None:
        """Nothing to tidy up."""

    def _line(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()


class Counter:
    """Which step of how many it is: "[3/12]", in the order in which they begin; several may run at a time."""

    def __init__(self) -> None:
        """Counting starts with the plan."""
        self._total = 0
        self._last = 0
        self._numbers: dict[str, int] = {}
        self._running: set[str] = set()

    def see(self, event: Event) -> None:
        """Count one event."""
        match event:
            case Plan():
                self._total = sum(action.kind is not action.kind.SKIP for action in event.actions)
            case Start():
                self._count(event.id)
                self._running.add(event.id)
            case End():
                if event.id not in self._running:
                    self._count(event.id)
                self._running.discard(event.id)

    def _count(self, step: str) -> None:
        self._last += 1
        self._numbers[step] = self._last

    def of(self, step: str) -> str:
        """The number of the step that has this id."""
        width = len(str(self._total))
        return f"[{self._numbers[step]:{width}}/{max(self._total, self._last)}]" if self._total else "[-]"


def ended(event: End) -> str:
    """One line on how a step ended: its name, the time it took and the bytes it added."""
    match event.state:
        case State.CACHED:
            return f"{event.name}: cached"
        case State.DONE:
            size = f", {amount(event.size)}" if event.size else ""
            return f"{event.name}: {duration(event.seconds)}{size}"
        case State.FAILED:
            return f"{event.name}: failed after {duration(event.seconds)}{_status(event.returncode)}"


def _status(returncode: int | None) -> str:
    if returncode is None:
        return ""
    return f" (signal {-returncode})" if returncode < 0 else f" (exit status {returncode})"


def duration(seconds: float) -> str:
    """A time as people say it: 0.4 s, 12 s, 3 min 05 s."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"


def amount(size: float) -> str:
    """Bytes as people say them: 812 B, 1.4 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def done_of(event: Progress) -> str:
    """How far a step is."""
    if event.unit == "bytes":
        return f"{amount(event.done)} of {amount(event.total)}"
    size = f", {amount(event.size)}" if event.size else ""
    return f"{event.done} of {event.total} {event.unit}".rstrip() + size


def clock() -> float:
    """Seconds that only ever go up, for what is shown and nothing else."""
    return time.monotonic()
