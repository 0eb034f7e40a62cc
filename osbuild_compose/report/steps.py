"""Counting the steps of a build, and one-line descriptions of them."""

import time

from osbuild_compose.report.events import End, Event, Plan, Progress, Start, State


class Counter:
    """Numbers steps, such as "[3/12]", in the order in which they start; several may run at a time."""

    def __init__(self) -> None:
        """Counting begins with the plan."""
        self._total = 0
        self._last = 0
        self._numbers: dict[str, int] = {}
        self._running: set[str] = set()

    def count(self, event: Event) -> None:
        """Count one event."""
        match event:
            case Plan():
                self._total = sum(action.kind is not action.kind.SKIP for action in event.actions)
            case Start():
                self._number(event.id)
                self._running.add(event.id)
            case End():
                if event.id not in self._running:
                    self._number(event.id)
                self._running.discard(event.id)

    def _number(self, step: str) -> None:
        self._last += 1
        self._numbers[step] = self._last

    def label(self, step: str) -> str:
        """The number of the step with this id."""
        width = len(str(self._total))
        return f"[{self._numbers[step]:{width}}/{max(self._total, self._last)}]" if self._total else "[-]"


def end_text(event: End) -> str:
    """How a step ended: its name, the time it took and the bytes it added."""
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
    """A duration for people: 0.4 s, 12 s, 3 min 05 s."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02} s"


def amount(size: float) -> str:
    """A number of bytes for people: 812 B, 1.4 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def progress_text(event: Progress) -> str:
    """The progress of a step: 3 of 12 packages."""
    if event.unit == "bytes":
        return f"{amount(event.done)} of {amount(event.total)}"
    size = f", {amount(event.size)}" if event.size else ""
    return f"{event.done} of {event.total} {event.unit}".rstrip() + size


def clock() -> float:
    """Monotonic seconds, for display only."""
    return time.monotonic()
