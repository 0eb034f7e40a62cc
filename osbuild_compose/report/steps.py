"""What is known of the steps of a build while it runs, and one-line descriptions of them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from osbuild_compose.report.events import Action, ActionKind, End, Event, Log, Plan, Progress, Start, State


@dataclass
class Running:
    """A step that is running.

    since is the time of clock() when it began, expected how long it will probably take. progress is the last that it
    reported, what is what it does, and output the last line that it printed since.
    """

    id: str
    title: str
    since: float
    expected: float | None
    target: int | None
    progress: Progress | None = None
    what: str = ""
    output: str = ""
    _whats: set[str] = field(default_factory=set)

    def see(self, event: Progress | Log) -> None:
        """Take an event about it."""
        if isinstance(event, Log):
            line = event.line.strip()
            # "unpack: 1.23 s" tells that a part of the work is done, and would look like output of the next part.
            if line and line.rpartition(": ")[0] not in self._whats:
                self.output = line
            return
        self.progress = event
        if event.what and event.what != self.what:
            self.what, self.output = event.what, ""
            self._whats.add(event.what)


class Tracker:
    """Follows the events of a build. It numbers the steps that run, in the order in which they start."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        """names are those of the images, in the order of the pipelines; without them none are shown."""
        self._names = names
        self._titles: dict[str, str] = {}
        self._targets: dict[str, int | None] = {}
        self._numbers: dict[str, int] = {}
        self._ended: set[str] = set()
        self._planned: list[Action] = []
        self._began = clock()
        self._jobs = 1
        self.running: dict[str, Running] = {}
        self.cached = 0

    def see(self, event: Event) -> None:
        """Take an event."""
        match event:
            case Plan():
                self._jobs = event.jobs
                self._planned = [action for action in event.actions if action.kind is ActionKind.RUN]
                self._titles = {action.id: action.title or action.name for action in event.actions}
                self.cached = sum(action.kind is ActionKind.CACHED for action in event.actions)
            case Start():
                self._start(event)
            case Progress() | Log() if event.id in self.running:
                self.running[event.id].see(event)
            case End():
                self._targets.setdefault(event.id, event.target)
                self.running.pop(event.id, None)
                self._ended.add(event.id)

    def _start(self, event: Start) -> None:
        title = self._titles.setdefault(event.id, event.title or event.name)
        self._targets[event.id] = event.target
        if event.target is not None:
            self._numbers[event.id] = len(self._numbers) + 1
        expected = next((action.seconds for action in self._planned if action.id == event.id), None)
        self.running[event.id] = Running(event.id, title, clock(), expected, event.target)

    @property
    def total(self) -> int:
        """How many steps run, as far as it is known."""
        return max(len(self._planned), len(self._numbers))

    @property
    def done(self) -> int:
        """How many of them have run."""
        return sum(step in self._numbers for step in self._ended)

    @property
    def elapsed(self) -> float:
        """Seconds since the build began."""
        return clock() - self._began

    def title(self, step: str, name: str) -> str:
        """What the step with this id and name is called."""
        return self._titles.get(step, name)

    def prefix(self, step: str, *, always: bool = True) -> str:
        """The name of the image that the step is for, and a colon; not always: only where there are several."""
        target = self._targets.get(step)
        return self.image(target) if always or len(self._names) > 1 else ""

    def image(self, target: int | None) -> str:
        """The name of an image, and a colon; empty if it has none."""
        known = target is not None and target < len(self._names)
        return f"{self._names[target]}: " if known and target is not None else ""

    def number(self, step: str) -> str:
        """The number of a step that runs, such as "[3/12] "; empty for one that has none."""
        if step not in self._numbers or not self._planned:
            return ""
        return f"[{self._numbers[step]:{len(str(self.total))}}/{self.total}] "

    def remaining(self) -> tuple[float, bool] | None:
        """How many seconds are probably left, and whether that is all; None if nothing is known.

        Pipelines may run at the same time: it is the time of the longest, or all time by the number of those that do.
        """
        left: dict[int, float] = {}
        is_all = True
        for action in self._planned:
            if action.id in self._ended:
                continue
            if action.seconds is None:
                is_all = False
                continue
            running = self.running.get(action.id)
            spent = clock() - running.since if running else 0.0
            left[action.target] = left.get(action.target, 0.0) + max(0.0, action.seconds - spent)
        if not left:
            return None
        return max(*left.values(), sum(left.values()) / self._jobs), is_all


def remaining_text(remaining: tuple[float, bool] | None) -> str:
    """What is left, for people: about 12 s left."""
    if remaining is None or remaining[0] < 0.5:
        return ""
    return f"{'about' if remaining[1] else 'more than'} {rounded(remaining[0])} left"


def plan_text(actions: Sequence[Action]) -> str:
    """What a plan comes to: 4 run, 7 from the store, about 18 s."""
    kinds = [action.kind for action in actions]
    parts = [f"{kinds.count(ActionKind.RUN)} run", f"{kinds.count(ActionKind.CACHED)} from the store"]
    if unneeded := kinds.count(ActionKind.SKIP):
        parts.append(f"{unneeded} not needed")
    seconds = [action.seconds for action in actions if action.kind is ActionKind.RUN]
    known = sum(one for one in seconds if one is not None)
    if known:
        parts.append(f"{'more than' if None in seconds else 'about'} {rounded(known)}")
    return ", ".join(parts)


def end_text(event: End) -> str:
    """How a step ended: the time it took and the bytes it added."""
    match event.state:
        case State.CACHED:
            return "from the store"
        case State.DONE:
            size = f", {amount(event.size)}" if event.size else ""
            return f"{duration(event.seconds)}{size}"
        case State.FAILED:
            return f"failed after {duration(event.seconds)}{_status(event.returncode)}"


def _status(returncode: int | None) -> str:
    if returncode is None:
        return ""
    return f" (signal {-returncode})" if returncode < 0 else f" (exit status {returncode})"


def rounded(seconds: float) -> str:
    """An estimated duration: whole seconds, at least one."""
    return duration(max(1.0, round(seconds))).replace(".0 s", " s")


def timer(seconds: float) -> str:
    """A duration as a clock shows it: 1:05, 1:02:05."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


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
    """How far a step is: 3 of 12 packages; empty where that is not known."""
    if event.total <= 0:
        return ""
    if event.unit == "bytes":
        return f"{amount(event.done)} of {amount(event.total)}"
    size = f", {amount(event.size)}" if event.size else ""
    return f"{event.done} of {event.total} {event.unit}".rstrip() + size


def activity(step: Running) -> str:
    """What a step is doing, and how far it is with that: configure, 3 of 12 packages."""
    return ", ".join(filter(None, [step.what, progress_text(step.progress) if step.progress else ""]))


def clock() -> float:
    """Monotonic seconds, for display only."""
    return time.monotonic()
