"""Starting the runner as a process of its own and following what it tells."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import osbuild_compose
from osbuild_compose.errors import BuildError, ComposeError, ExitCode, HostError, InputError, Interrupted
from osbuild_compose.report.events import End, Event, Failure, Result, State, parse

MAX_OUTPUT = 4096  # bytes of the runner's own output that are worth showing when it ends without a word


@dataclass(frozen=True)
class Settings:
    """Where the runner works. libdirs are searched for stages before the built-in ones."""

    store: Path
    libdirs: tuple[Path, ...] = ()


def build(pipeline: bytes, directory: Path, settings: Settings, show: Callable[[Event], None]) -> Result:
    """Run the pipeline JSON; what its assembler makes lands in `directory`. `show` gets every event.

    Raises BuildError, InputError, HostError or Interrupted when the runner says so, after it has ended.
    """
    read_end, write_end = os.pipe()
    arguments = ["--output-directory", str(directory), "--monitor-fd", str(write_end)]
    with tempfile.TemporaryFile() as output, open(read_end, encoding="utf-8", errors="replace") as events:  # noqa: PTH123
        try:
            process = _start(pipeline, arguments, settings, stdout=output.fileno(), keep=(write_end,))
        finally:
            os.close(write_end)
        with _passing_on_signals(process) as stopped:
            last = _follow(events, show)
            code = process.wait()
        if last.result and last.result.success and code == ExitCode.DONE:
            return last.result
        if code == ExitCode.INTERRUPTED or stopped:
            raise Interrupted("interrupted", hint=last.failure.hint if last.failure else "")
        if last.failure:
            raise _error(last.failure, last.failed)
        output.seek(max(0, os.fstat(output.fileno()).st_size - MAX_OUTPUT))
        said = output.read().decode(errors="replace").splitlines()
        raise _unexplained(code, said)


def plan(pipeline: bytes, settings: Settings) -> bytes:
    """What the runner would do, as the JSON that it prints. Raises like `build`."""
    process = _start(pipeline, ["--plan"], settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with _passing_on_signals(process) as stopped:
        out, err = process.communicate()
    if process.returncode == ExitCode.INTERRUPTED or stopped:
        raise Interrupted("interrupted")
    if process.returncode:
        raise _unexplained(process.returncode, err.decode(errors="replace").splitlines())
    return out


def _start(
    pipeline: bytes,
    arguments: Sequence[str],
    settings: Settings,
    *,
    stdout: int,
    stderr: int = subprocess.STDOUT,
    keep: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    command = [*program(), "--store", str(settings.store), *arguments]
    for libdir in settings.libdirs:
        command += ["--libdir", str(libdir)]
    with tempfile.TemporaryFile() as stdin:  # a file cannot fill up as a pipe would
        stdin.write(pipeline)
        stdin.seek(0)
        return subprocess.Popen(
            [*command, "-"], stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=keep, env=environment()
        )


def program(module: str = "runner") -> list[str]:
    """The command that runs the runner, or another module of it."""
    # -P: a directory called runner where the user stands is not meant.
    return [sys.executable, "-P", "-m", module]


def environment() -> dict[str, str]:
    """Ours, with the place of our own copy of the runner: it need not be installed."""
    paths = [str(Path(osbuild_compose.__file__).parent.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


@dataclass
class _Last:
    """What the events said that matters at the end."""

    failed: End | None = None
    failure: Failure | None = None
    result: Result | None = None


def _follow(lines: Iterable[str], show: Callable[[Event], None]) -> _Last:
    last = _Last()
    for line in lines:
        event = parse(line)
        if event is None:
            continue
        show(event)
        match event:
            case End(state=State.FAILED):
                last.failed = event
            case Failure():
                last.failure = event
            case Result():
                last.result = event
    return last


@contextmanager
def _passing_on_signals(process: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """While in here, a signal that asks us to stop asks the runner, and we wait for it to tidy up.

    The runner ignores a second signal: it may get Ctrl-C from the terminal as well as from us.
    """
    stopped: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        stopped.append(number)
        process.send_signal(signal.SIGINT)

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, pass_on) for number in numbers}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _error(failure: Failure, failed: End | None) -> ComposeError:
    details = list(failure.details)
    if failed and not details:
        details = list(failed.output)
    # A stage that says itself what is wrong has said it in the message and the hint already.
    said = {failure.hint, f"hint: {failure.hint}"}
    details = [line for line in details if line not in said and not _repeats(line, failure.message)]
    if failure.command:
        details.append(f"to run it again: {failure.command}")
    kinds: dict[str, type[ComposeError]] = {
        "input": InputError,
        "environment": HostError,
        "interrupted": Interrupted,
    }
    return kinds.get(failure.kind, BuildError)(failure.message, details=details, hint=failure.hint)


def _repeats(line: str, message: str) -> bool:
    return line.startswith("error: ") and message.endswith(line.removeprefix("error: "))


def _unexplained(code: int, said: Sequence[str]) -> ComposeError:
    """The runner ended without an event that says why: its own words are all there is."""
    brief = f"the runner was killed by signal {-code}" if code < 0 else f"the runner ended with status {code}"
    if code == ExitCode.INPUT_WRONG and said and said[0].startswith("error: "):
        return InputError(said[0].removeprefix("error: "), details=said[1:])
    return BuildError(brief, details=said)
