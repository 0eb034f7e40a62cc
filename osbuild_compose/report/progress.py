"""Shows a build while it runs: live on a terminal, in lines elsewhere."""

from collections.abc import Sequence
from typing import Protocol, TextIO

from osbuild_compose.report import style
from osbuild_compose.report.events import Action, ActionKind, End, Event, Log, Note, Plan, Progress, Start, State
from osbuild_compose.report.steps import Tracker, activity, clock, end_text, plan_text, rounded
from osbuild_compose.report.terminal import printable

SILENCE = 15.0  # seconds without a line about a step until its progress is shown
WORTH_A_LINE = 1.0  # seconds that a step took, for a line when it ended


class Display(Protocol):
    """Shows events as they happen."""

    def show(self, event: Event) -> None:
        """Show one event."""

    def close(self) -> None:
        """Restore the terminal; nothing is shown afterwards."""


def display(out: TextIO, *, verbose: bool, plain: bool = False, names: Sequence[str] = ()) -> Display:
    """The display for `out`. verbose shows the output of stages, too; plain means lines even on a terminal.

    names are those of the images that are built, in the order of their pipelines.
    """
    if style.is_terminal(out) and not plain:
        from osbuild_compose.report.live import Live  # noqa: PLC0415 - only a terminal needs rich

        return Live(out, verbose=verbose, names=names)
    return Lines(out, verbose=verbose, names=names)


class Lines:
    """A line for each step that starts and for each that took long, for pipes, files and CI.

    Long steps show their progress now and then.
    """

    def __init__(self, out: TextIO, *, verbose: bool, names: Sequence[str] = ()) -> None:
        """Everything goes to `out`."""
        self._out = out
        self._verbose = verbose
        self._steps = Tracker(names)
        self._shown: dict[str, float] = {}  # when the last line about each step was written

    def show(self, event: Event) -> None:
        """Write the lines for one event."""
        self._steps.see(event)
        match event:
            case Plan():
                self._plan(event)
            case Start():
                expected = self._steps.running[event.id].expected
                self._about(event, f" ({'about ' + rounded(expected)})" if expected and expected >= 1 else "")
            case Progress() if clock() - self._shown.get(event.id, clock()) >= SILENCE:
                self._about(event, f": {activity(self._steps.running[event.id])}")
            case Log() if self._verbose:
                self._line(f"{self._steps.prefix(event.id, always=False)}  | {event.line}")
            case End() if event.state is State.FAILED or event.seconds >= WORTH_A_LINE:
                self._about(event, f": {end_text(event)}")
            case Note():
                self._line(f"{self._steps.prefix(event.id)}note: {event.message}")

    def close(self) -> None:
        """Nothing to restore."""

    def _plan(self, plan: Plan) -> None:
        by_target: dict[int, list[Action]] = {}
        for action in plan.actions:
            by_target.setdefault(action.target, []).append(action)
        for target, actions in by_target.items():
            if all(action.kind is not ActionKind.RUN for action in actions):
                self._line(f"{self._steps.image(target)}everything is in the store")
            else:
                self._line(f"{self._steps.image(target)}{plan_text(actions)}")

    def _about(self, event: Start | Progress | End, text: str) -> None:
        self._shown[event.id] = clock()
        title = self._steps.title(event.id, event.name)
        self._line(f"{self._steps.prefix(event.id)}{self._steps.number(event.id)}{title}{text}")

    def _line(self, text: str) -> None:
        self._out.write(printable(text) + "\n")
        self._out.flush()
