"""Events as text: plain lines for pipes, a live line for terminals."""

import io
import json
import re

import pytest

from osbuild_compose.report import events, progress, steps
from osbuild_compose.report.events import (
    Action,
    ActionKind,
    End,
    Event,
    Failure,
    Log,
    Note,
    Plan,
    Progress,
    Result,
    Start,
    State,
)
from osbuild_compose.report.live import Live
from osbuild_compose.report.progress import Lines
from osbuild_compose.report.style import Style, is_terminal
from osbuild_compose.report.terminal import filtered

STREAM: list[Event] = [
    Plan(
        (
            Action(ActionKind.CACHED, "a", "1", "p", ""),
            Action(ActionKind.RUN, "b", "2", "p", ""),
            Action(ActionKind.SKIP, "c", "3", "q", ""),
        )
    ),
    Note("be careful"),
    End("1", "a", State.CACHED, 0.0, None, (), None),
    Start("2", "b"),
    Log("2", "b", "hello [red]"),
    Progress("2", "b", 512, 2048, "bytes"),
    End("2", "b", State.DONE, 61.0, 3 * 1024**2, (), None),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def lines(*, verbose: bool) -> list[str]:
    out = io.StringIO()
    display = Lines(out, verbose=verbose)
    for event in STREAM:
        display.show(event)
    display.close()
    return out.getvalue().splitlines()


def test_plain_lines() -> None:
    assert lines(verbose=False) == [
        "note: be careful",
        "[1/2] a: cached",
        "[2/2] b ...",
        "[2/2] b: 1 min 01 s, 3.0 MiB",
    ]
    assert "  | hello [red]" in lines(verbose=True)


def test_live_leaves_the_same_lines_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    out = Terminal()
    display = progress.display(out, verbose=True)
    assert isinstance(display, Live)
    for event in STREAM:
        display.show(event)
    display.close()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    for line in ("note: be careful", "[1/2] a: cached", "hello [red]", "[2/2] b: 1 min 01 s, 3.0 MiB"):
        assert line in text
    assert out.getvalue().endswith("\x1b[?25h") or "\x1b[?25h" in out.getvalue()  # the cursor is back


def test_live_draws_the_running_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    out = Terminal()
    display = Live(out, verbose=False)
    for event in STREAM[:-1]:
        display.show(event)
    display._live.refresh()
    display.close()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    assert re.search(r"\[2/2\] b 0\.\d s +[━╸╺]{24} 512 B of 2\.0 KiB  hello \[red\]", text)


def test_plain_lines_tell_how_far_a_long_step_is_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(progress, "clock", lambda: now)
    out = io.StringIO()
    display = Lines(out, verbose=False)
    display.show(STREAM[0])
    display.show(Start("2", "b"))
    for now in range(0, 60, 2):
        display.show(Progress("2", "b", now * 1024**2, 60 * 1024**2, "bytes"))
    assert out.getvalue().splitlines()[1:] == [
        "[1/2] b: 16 MiB of 60 MiB",
        "[1/2] b: 32 MiB of 60 MiB",
        "[1/2] b: 48 MiB of 60 MiB",
    ]


def test_what_has_come_is_reported_beside_the_count() -> None:
    assert steps.progress_text(Progress("1", "sources", 3, 12, "files", 45 * 1024**2)) == "3 of 12 files, 45 MiB"


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
        ({"event": "note", "message": "m"}, Note("m")),
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
    assert steps.end_text(failed) == "a: failed after 3.0 s (signal 9)"
