"""Events as text: plain lines for pipes, a live line for terminals."""

import io
import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from osbuild_compose.report import events, progress, steps, summary
from osbuild_compose.report.events import (
    Action,
    ActionKind,
    Change,
    End,
    Event,
    Failure,
    Log,
    Note,
    Output,
    PipelineResult,
    Plan,
    Progress,
    Result,
    Start,
    State,
    StepSummary,
)
from osbuild_compose.report.live import Live
from osbuild_compose.report.progress import Lines
from osbuild_compose.report.style import Style, is_terminal
from osbuild_compose.report.terminal import filtered

STREAM: list[Event] = [
    Plan(
        (
            Action(ActionKind.CACHED, "a", "1", "p", "", "install the base"),
            Action(ActionKind.RUN, "b", "2", "p", "", "install packages (nginx)", seconds=70.0),
            Action(ActionKind.SKIP, "c", "3", "q", "", "make a build root"),
        )
    ),
    Note("be careful"),
    End("1", "a", State.CACHED, 0.0, None, (), None, 0),
    Start("2", "b", "install packages (nginx)", 0),
    Log("2", "b", "hello [red]"),
    Progress("2", "b", 512, 2048, "bytes", what="download"),
    Log("2", "b", "hello [red]"),
    End("2", "b", State.DONE, 61.0, 3 * 1024**2, (), None, 0),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(events: Sequence[Event], *, verbose: bool = False, names: Sequence[str] = ("web",)) -> list[str]:
    out = io.StringIO()
    display = Lines(out, verbose=verbose, names=names)
    for event in events:
        display.show(event)
    display.close()
    return out.getvalue().splitlines()


def test_plain_lines() -> None:
    assert lines(STREAM) == [
        "web: 1 run, 1 from the store, 1 not needed, about 1 min 10 s",
        "note: be careful",
        "web: [1/1] install packages (nginx) (about 1 min 10 s)",
        "web: [1/1] install packages (nginx): 1 min 01 s, 3.0 MiB",
    ]
    assert "  | hello [red]" in lines(STREAM, verbose=True)


def test_plain_lines_have_the_image_of_each_step() -> None:
    plan = Plan(
        (
            Action(ActionKind.RUN, "b", "2", "tree", "", "make tar", 0),
            Action(ActionKind.RUN, "b", "3", "tree", "", "make raw", 1, seconds=0.2),
            Action(ActionKind.CACHED, "b", "4", "tree", "", "make raw", 2),
        )
    )
    ends = [End(step, "b", State.DONE, seconds, None, (), None) for step, seconds in (("2", 2.0), ("3", 0.1))]
    ends.append(Note("sudo removed su", "3"))
    starts = [Start("sources", "sources", "download files"), Start("2", "b", "", 0), Start("3", "b", "", 1)]
    assert lines([plan, *starts, Log("3", "b", "x"), *ends], verbose=True, names=["one", "two", "three"]) == [
        "one: 1 run, 0 from the store",
        "two: 1 run, 0 from the store, about 1 s",
        "three: everything is in the store",
        "download files",
        "one: [1/2] make tar",
        "two: [2/2] make raw",
        "two:   | x",
        "one: [1/2] make tar: 2.0 s",
        "two: note: sudo removed su",
    ]


def test_steps_of_an_older_runner_have_their_names() -> None:
    plan = Plan((Action(ActionKind.RUN, "a", "1", "", ""),))
    failed = End("1", "a", State.FAILED, 1.0, None, (), 3)
    assert lines([plan, Start("1", "a"), failed], names=())[1:] == [
        "a",
        "a: failed after 1.0 s (exit status 3)",
    ]


def on_terminal(columns: int, events: Sequence[Event], monkeypatch: pytest.MonkeyPatch, **options: Any) -> str:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.delenv("CI", raising=False)
    out = Terminal()
    display = progress.display(out, **{"verbose": False, **options})
    assert isinstance(display, Live)
    for event in events:
        display.show(event)
    display._running.refresh()
    display.close()
    assert "\x1b[?25h" in out.getvalue()  # the cursor is back
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())


def test_live_leaves_lines_of_what_ran_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    text = on_terminal(80, STREAM, monkeypatch, verbose=True)
    for line in ("note: be careful", "hello [red]", "install packages (nginx): 1 min 01 s, 3.0 MiB"):
        assert line in text
    assert "install the base" not in text  # it did not run


@pytest.mark.parametrize(("columns", "bar"), [(50, 0), (80, 12), (200, 24)])
def test_live_draws_the_running_step(columns: int, bar: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = on_terminal(columns, STREAM[:-1], monkeypatch)
    drawn = rf"[━╸╺]{{{bar}}} +" if bar else ""
    shown = re.findall(rf"(?:^|\r)([-\\|/] install packages \(nginx\) +{drawn}0:0\d / ~1:10)$", text, re.M)
    assert shown
    assert {len(line) for line in shown} == {columns}
    assert "\n  download, 512 B of 2.0 KiB  hello [red]" in text
    whole = r"^0 of 1 step, 0:0\d, 1 from the store" + (r", about 1 min (10|09) s left$" if columns > 50 else "")
    assert re.search(whole, text, re.M)


def test_columns_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a step is called, prints and reports."""
    long = "a title that is longer than the terminal is wide " * 3
    begin = [Plan((Action(ActionKind.RUN, "b", "2", "p", "", long, seconds=70.0),)), Start("2", "b", long, 0)]
    reports = [Progress("2", "b", done, 10**done, "packages" * 3, what="x" * 70) for done in range(1, 9)]
    out = on_terminal(80, [*begin, *reports, Log("2", "b", "y" * 500)], monkeypatch)
    drawn = [line for line in re.split(r"[\r\n]+", out) if line.strip()]
    assert {len(line) for line in drawn if "~1:10" in line} == {80}
    assert max(map(len, drawn)) <= 80
    assert any("…" in line for line in drawn)


def test_what_has_ended_is_not_shown_as_what_runs() -> None:
    tracker = steps.Tracker()
    for event in (Start("1", "a"), Progress("1", "a", 0, 0, "", what="unpack"), Log("1", "a", "something")):
        tracker.see(event)
    step = tracker.running["1"]
    assert (step.what, step.output) == ("unpack", "something")
    tracker.see(Progress("1", "a", 0, 0, "", what="configure"))
    tracker.see(Log("1", "a", "unpack: 2.34 s"))
    assert (step.what, step.output, steps.activity(step)) == ("configure", "", "configure")
    tracker.see(Progress("1", "a", 3, 12, "packages"))
    assert steps.activity(step) == "configure, 3 of 12 packages"


def test_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(steps, "clock", lambda: now)
    times = [(0, 30.0), (0, 10.0), (1, 20.0)]
    actions = [
        Action(ActionKind.RUN, "a", str(number), "", "", "", target, seconds=seconds)
        for number, (target, seconds) in enumerate(times)
    ]
    tracker = steps.Tracker()
    tracker.see(Plan(tuple(actions), jobs=4))
    assert tracker.remaining() == (40.0, True)  # that of the first image, while the second is made
    tracker.see(Start("0", "a", "", 0))
    now = 112.0
    assert tracker.remaining() == (28.0, True)
    now = 200.0  # it takes longer than before
    assert tracker.remaining() == (20.0, True)
    tracker.see(End("0", "a", State.DONE, 100.0, None, (), None, 0))
    tracker.see(End("2", "a", State.CACHED, 0.0, None, (), None, 1))  # another process made it
    assert tracker.remaining() == (10.0, True)
    alone = steps.Tracker()
    alone.see(Plan((*actions, Action(ActionKind.RUN, "a", "9", "", ""))))
    assert alone.remaining() == (60.0, False)
    assert steps.remaining_text(alone.remaining()) == "more than 1 min 00 s left"
    assert steps.remaining_text((0.2, True)) == ""
    assert steps.remaining_text(steps.Tracker().remaining()) == ""


def test_plain_lines_tell_how_far_a_long_step_is_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(progress, "clock", lambda: now)
    out = io.StringIO()
    display = Lines(out, verbose=False)
    display.show(STREAM[0])
    display.show(Start("2", "b", "", 0))
    for now in range(0, 60, 2):
        display.show(Progress("2", "b", now * 1024**2, 60 * 1024**2, "bytes", what="download"))
    assert out.getvalue().splitlines()[2:] == [
        "[1/1] install packages (nginx): download, 16 MiB of 60 MiB",
        "[1/1] install packages (nginx): download, 32 MiB of 60 MiB",
        "[1/1] install packages (nginx): download, 48 MiB of 60 MiB",
    ]


def test_what_has_come_is_reported_beside_the_count() -> None:
    assert steps.progress_text(Progress("1", "sources", 3, 12, "files", 45 * 1024**2)) == "3 of 12 files, 45 MiB"


STEPS = tuple(StepSummary("stage", "1", "a", "b", True, cached, 0.0) for cached in (True, True, False))
RESULTS = [
    PipelineResult(True, "t", "o", ("/o/web.raw",), (Output("/o/web.raw", 2048, "f" * 64),), STEPS, 41.0),
    PipelineResult(True, "t", "o", ("/o/a.raw",), (Output("/o/a.raw", 5 << 30, None),), STEPS[:2]),
    PipelineResult(False, "t", "o", (), (), STEPS[:1]),
]


def test_the_table_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    summary.show(RESULTS, ["web", "a", "bad"], 45.0, out)
    assert out.getvalue().splitlines() == [
        f"image       size  {'sha256':64}  time  from the store",
        f"web.raw  2.0 KiB  {'f' * 64}  41 s  2 of 3 steps",
        f"a.raw    5.0 GiB  {'-':64}     -  all",
        f"bad       failed  {'-':64}     -  all",
        "done in 45 s",
    ]
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("CI", raising=False)
    narrow = Terminal()
    summary.show(RESULTS, ["web", "a", "bad"], 45.0, narrow)
    assert "web.raw  2.0 KiB  ffffffffffff…  41 s  2 of 3 steps\n" in narrow.getvalue()


def test_where_a_terminal_is_one() -> None:
    terminal = Terminal()
    assert is_terminal(terminal, {"TERM": "xterm"})
    assert not is_terminal(terminal, {"TERM": "dumb"})
    assert not is_terminal(terminal, {"TERM": "xterm", "CI": "1"})
    assert not is_terminal(io.StringIO(), {"TERM": "xterm"})
    assert filtered(Style.for_stream(terminal, {"TERM": "xterm"}).bold("a")) == "\033[1ma\033[0m"
    assert Style.for_stream(terminal, {"TERM": "xterm", "NO_COLOR": "1"}).bold("a") == "a"


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ({"event": "start", "id": "1", "name": "a"}, Start("1", "a")),
        ({"event": "log", "id": "1", "name": "a", "line": "x"}, Log("1", "a", "x")),
        (
            {"event": "progress", "id": "1", "name": "a", "done": 1, "total": 2, "unit": "files"},
            Progress("1", "a", 1, 2, "files"),
        ),
        (
            {
                "event": "end",
                "id": "1",
                "name": "a",
                "state": "failed",
                "seconds": 1.5,
                "output": ["x"],
                "returncode": -9,
            },
            End("1", "a", State.FAILED, 1.5, None, ("x",), -9),
        ),
        (
            {"event": "progress", "id": "1", "name": "a", "done": 0, "total": 0, "unit": "", "what": "unpack"},
            Progress("1", "a", 0, 0, "", what="unpack"),
        ),
        ({"event": "start", "id": "1", "name": "a", "title": "t", "target": 0}, Start("1", "a", "t", 0)),
        ({"event": "note", "message": "m"}, Note("m")),
        ({"event": "note", "message": "m", "id": "1", "name": "a"}, Note("m", "1")),
        ({"event": "error", "kind": "build", "message": "m"}, Failure("build", "m", (), "", "", "")),
        ({"event": "result", "success": True, "files": ["/a"], "seconds": 2}, Result(True, None, None, ("/a",), 2.0)),
        ({"event": "new thing"}, None),
        ({"event": "start"}, None),
        ({"event": "end", "id": "1", "name": "a", "state": "lost"}, None),
        ([], None),
        (None, None),
    ],
)
def test_events_are_read(line: object, event: Event | None) -> None:
    assert events.parse(json.dumps(line)) == event


def test_garbage_is_no_event() -> None:
    assert events.parse("Traceback (most recent call last):") is None


def test_plans_are_read_with_what_an_older_runner_does_not_say() -> None:
    old = {"kind": "run", "name": "a", "id": "1"}
    change = {"path": ["packages"], "added": ["nginx"], "is_new": False, "of a later version": 1}
    new = {**old, "title": "t", "target": 1, "seconds": 2.0, "changes": [change], "reason": "r", "pipeline": "tree"}
    read = events.plan_of({"actions": [old, new], "jobs": 3, "pipelines": [{"name": "web", "built_before": True}]})
    assert read == Plan(
        (
            Action(ActionKind.RUN, "a", "1", "", ""),
            Action(ActionKind.RUN, "a", "1", "tree", "r", "t", 1, (Change(("packages",), added=("nginx",)),), 2.0),
        ),
        3,
        (True,),
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.96, "10.0 s"), (12.4, "12 s"), (59.9, "60 s"), (185, "3 min 05 s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert steps.duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (20 * 1024, "20 KiB"), (5 * 1024**4, "5.0 TiB")]
)
def test_amounts(size: int, text: str) -> None:
    assert steps.amount(size) == text


def test_how_a_step_failed() -> None:
    failed = End("1", "a", State.FAILED, 3.0, None, (), -9)
    assert steps.end_text(failed) == "failed after 3.0 s (signal 9)"
