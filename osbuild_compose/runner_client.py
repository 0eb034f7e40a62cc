"""Starts the runner as a process of its own and reads its events."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, MappingProxyType

from osbuild_compose import signals, user_cache
from osbuild_compose.data import PACKAGE
from osbuild_compose.errors import (
    STOPPED,
    BuildError,
    ComposeError,
    ExitCode,
    HostError,
    InputError,
    Interrupted,
    SeveralErrors,
    as_one,
)
from osbuild_compose.report.events import End, Event, Failure, Result, State, parse

# From the file with the pipeline of a stage that failed to a command that runs the stage again with a shell in its
# sandbox.
RerunCommand = Callable[[str], str] | None

NOTE = "note: "  # what the runner's messages that are no errors begin with
MAX_OUTPUT = 4096  # bytes of the runner's own output to show when it ends without an event that explains it


def default_store() -> Path:
    """The user's own store. Raises HostError for a user without a home directory."""
    return user_cache.home(os.environ) / "osbuild-compose"


@dataclass(frozen=True)
class RunnerSettings:
    """Where and how the runner works.

    store is the directory with cached layers. libdirs are searched for stages before the built-in ones. jobs is how
    many pipelines are built at a time (None: as many as the runner finds useful). debug_shell opens a shell on the
    terminal, in the sandbox of a stage that failed. limits are further options of the runner, such as
    ("--stage-timeout", "30min").
    """

    store: Path = field(default_factory=default_store)
    libdirs: tuple[Path, ...] = ()
    jobs: int | None = None
    debug_shell: bool = False
    limits: tuple[str, ...] = ()


def build(
    pipelines: Sequence[Path],
    directory: Path,
    settings: RunnerSettings,
    on_event: Callable[[Event], None],
    rerun: RerunCommand = None,
    *,
    passphrases: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Result, ComposeError | None]:
    """Run pipeline JSON files ("-": standard input) in one run; the assemblers' output goes into `directory`.

    on_event gets every event. rerun says what to type to run a stage that failed again, with a shell in its sandbox.
    passphrases are the texts of those that the pipelines refer to by name.

    Returns the result, and the error of pipelines that failed while others were built. Raises BuildError, InputError,
    HostError or Interrupted, after the runner has ended, when none was built.
    """
    read_end, write_end = os.pipe()
    arguments = ["--output-directory", str(directory), "--monitor-fd", str(write_end)]
    if settings.jobs:
        arguments += ["--jobs", str(settings.jobs)]
    with (
        tempfile.TemporaryFile() as output,
        open(read_end, encoding="utf-8", errors="replace") as events,  # noqa: PTH123
    ):
        with _passing_on_signals(settings.debug_shell) as passing, _secrets(passphrases) as secrets:
            try:
                process = passing.start(
                    [*arguments, *secrets, *(["--debug-shell"] if settings.debug_shell else []), *map(str, pipelines)],
                    settings,
                    # A shell needs the terminal; otherwise the runner's own output only matters if it crashes.
                    stdin=None if settings.debug_shell or Path("-") in pipelines else subprocess.DEVNULL,
                    stdout=None if settings.debug_shell else output.fileno(),
                    keep=(write_end,),
                )
            finally:
                os.close(write_end)
            last = _follow(events, on_event)
            code = process.wait()
        if last.result and last.result.success and code == ExitCode.DONE:
            return last.result, None
        if interrupted := passing.interrupted(code):
            raise next((_interrupted(told, interrupted) for told in reversed(last.failures)), interrupted)
        if last.failures:
            error = _errors(last, rerun)
            if last.result and last.result.files:  # some of the pipelines succeeded
                return last.result, error
            raise error
        output.seek(max(0, os.fstat(output.fileno()).st_size - MAX_OUTPUT))
        said = output.read().decode(errors="replace").splitlines()
        raise _unexplained(code, said)


@contextmanager
def pipeline_files(pipelines: Sequence[bytes]) -> Iterator[list[Path]]:
    """Files with these pipelines, which are removed afterwards."""
    with signals.tidied(), tempfile.TemporaryDirectory(prefix="compose-") as work:
        files = [Path(work) / f"{number}.json" for number in range(len(pipelines))]
        for file, pipeline in zip(files, pipelines, strict=True):
            file.write_bytes(pipeline)
        yield files


def plan(
    pipelines: Sequence[bytes], settings: RunnerSettings, passphrases: Mapping[str, str] = MappingProxyType({})
) -> bytes:
    """What the runner would do for all pipelines in one run, as the JSON that it prints. Raises as build() does."""
    with pipeline_files(pipelines) as files, _passing_on_signals() as passing, _secrets(passphrases) as secrets:
        process = passing.start(
            ["--plan", *secrets, *map(str, files)],
            settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = process.communicate()
    if interrupted := passing.interrupted(process.returncode):
        raise interrupted
    if process.returncode:
        raise _unexplained(process.returncode, err.decode(errors="replace").splitlines())
    return out


@contextmanager
def _secrets(passphrases: Mapping[str, str]) -> Iterator[list[str]]:
    """The runner's arguments for these passphrases: a temporary file that only this user can read."""
    if not passphrases:
        yield []
        return
    with tempfile.NamedTemporaryFile("w", prefix="compose-", suffix=".json") as file:
        json.dump({"org.osbuild-compose.passphrases": dict(passphrases)}, file)
        file.flush()
        yield ["--secrets", file.name]


def store_command(store: Path, *arguments: str, on_note: Callable[[str], None]) -> str:
    """What `python3 -m runner.store` prints for these arguments. Raises ComposeError with its message if it fails.

    on_note gets its notes while it runs: for instance, what it waits for.
    """
    argv = [*program("runner.store"), "--store", str(store), "--parent", str(os.getpid()), *arguments]
    said = []
    with tempfile.TemporaryFile() as out, _passing_on_signals() as passing:
        process = passing.run(argv, stdin=subprocess.DEVNULL, stdout=out.fileno(), stderr=subprocess.PIPE)
        assert process.stderr
        for raw in process.stderr:
            line = raw.decode(errors="replace").rstrip("\n")
            if line.startswith(NOTE):
                on_note(line.removeprefix(NOTE))
            else:
                said.append(line)
        process.wait()
        if interrupted := passing.interrupted(process.returncode):
            raise interrupted
        if process.returncode and said:
            raise _store_error(process.returncode, said)
        out.seek(0)
        return out.read().decode(errors="surrogateescape")


def machine_command(store: Path, on_note: Callable[[str], None]) -> str:
    """What `python3 -m runner.machine` prints for a store. Raises ComposeError with its message if it fails.

    on_note gets what the programs that it tried said.
    """
    argv = [*program("runner.machine"), "--store", str(store), "--parent", str(os.getpid())]
    with _passing_on_signals() as passing:
        process = passing.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        out, err = process.communicate()
    if interrupted := passing.interrupted(process.returncode):
        raise interrupted
    said = err.decode(errors="replace").splitlines()
    if not out:
        raise _store_error(process.returncode, said)
    for line in said:
        on_note(line)
    return out.decode()


def _store_error(code: int, printed: Sequence[str]) -> ComposeError:
    hints = [line.removeprefix("hint: ") for line in printed if line.startswith("hint: ")]
    brief, *details = [line for line in printed if not line.startswith("hint: ")] or ["the runner printed nothing"]
    kind = InputError if code == InputError.exit_code else BuildError
    return kind(brief.removeprefix("error: "), details=details, hint=hints[0] if hints else "")


def program(module: str = "runner") -> list[str]:
    """The command that runs the runner, or another module of it."""
    # -P: so that a directory called runner in the working directory is not imported.
    return [sys.executable, "-P", "-m", module]


def environment() -> dict[str, str]:
    """This process's environment, in which our own copy of the runner is found: it need not be installed."""
    paths = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


@dataclass
class _Last:
    """What is kept of the events until the end."""

    failed: dict[str, End] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    result: Result | None = None


def _follow(lines: Iterable[str], on_event: Callable[[Event], None]) -> _Last:
    last = _Last()
    for line in lines:
        event = parse(line)
        if event is None:
            continue
        on_event(event)
        match event:
            case End(state=State.FAILED):
                last.failed[event.name] = event
            case Failure():
                last.failures.append(event)
            case Result():
                last.result = event
    return last


class _Passing:
    """The runner's process, and the signals that were passed on to it."""

    def __init__(self, has_terminal: bool) -> None:
        """has_terminal: the runner may have a shell on the terminal, which Ctrl-C is meant for."""
        self._has_terminal = has_terminal
        self._process: subprocess.Popen[bytes] | None = None
        self._stopped_by: int | None = None

    def start(
        self,
        arguments: Sequence[str],
        settings: RunnerSettings,
        *,
        stdin: int | None,
        stdout: int | None,
        stderr: int = subprocess.STDOUT,
        keep: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        """Start the runner, which ends when this process ends."""
        command = [*program(), "--store", str(settings.store), "--parent", str(os.getpid())]
        command += settings.limits
        for libdir in settings.libdirs:
            command += ["--libdir", str(libdir)]
        return self.run([*command, *arguments], stdin=stdin, stdout=stdout, stderr=stderr, keep=keep)

    def run(
        self, argv: Sequence[str], *, stdin: int | None, stdout: int | None, stderr: int, keep: Sequence[int] = ()
    ) -> subprocess.Popen[bytes]:
        """Start a program of the runner."""
        # It begins with the signals blocked, until it can deal with them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signals.STOPPING)
        try:
            self._process = subprocess.Popen(
                argv, stdin=stdin, stdout=stdout, stderr=stderr, pass_fds=keep, env=environment()
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if self._stopped_by is not None:  # before there was anything to pass the signal on to
            raise Interrupted(exit_code=signals.exit_code(self._stopped_by))
        return self._process

    def pass_on(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal: the runner cleans up while we wait for it, but not for long."""
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)
        if self._stopped_by is None and not (self._has_terminal and number == signal.SIGINT):
            self._stopped_by = number
            signals.limit(number)

    def end(self) -> None:
        """Kill the runner if it still runs, which it does only if we failed."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            for stream in (self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()

    def interrupted(self, code: int) -> Interrupted | None:
        """The error if a signal stopped us or the runner, whose exit code this is."""
        if self._stopped_by is not None:
            code = signals.exit_code(self._stopped_by)
        return Interrupted(exit_code=code) if code in STOPPED else None


@contextmanager
def _passing_on_signals(has_terminal: bool = False) -> Iterator[_Passing]:
    """In this context a signal to stop is passed on to the runner. Handlers are the main thread's business."""
    passing = _Passing(has_terminal)
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, passing.pass_on) for number in signals.caught()}
    try:
        yield passing
    finally:
        passing.end()
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupted(told: Failure, interrupted: Interrupted) -> Interrupted:
    return Interrupted(told.message, hint=told.hint, exit_code=interrupted.exit_code)


def _errors(last: _Last, rerun: RerunCommand) -> ComposeError:
    """The error, or all of them as one."""
    each = [_error(failure, last.failed.get(failure.stage), rerun) for failure in last.failures]
    return as_one(each, SeveralErrors)


def _error(failure: Failure, failed: End | None, rerun: RerunCommand) -> ComposeError:
    details = list(failure.details)
    if failed and not details:
        details = list(failed.output)
    # The message and the hint already contain the error that the stage reported.
    said = {failure.hint, f"hint: {failure.hint}"}
    details = [line for line in details if line not in said and not _repeats(line, failure.message)]
    if failure.manifest and rerun:
        details.append(f"to run {failure.stage} again, with a shell in its sandbox: {rerun(failure.manifest)}")
    kinds: dict[str, type[ComposeError]] = {
        "input": InputError,
        "environment": HostError,
        "interrupted": Interrupted,
    }
    error = kinds.get(failure.kind, BuildError)(failure.message, details=details, hint=failure.hint)
    if isinstance(error, BuildError) and failed:
        error.step = failed.id
    return error


def _repeats(line: str, message: str) -> bool:
    return line.startswith("error: ") and message.endswith(line.removeprefix("error: "))


def _unexplained(code: int, said: Sequence[str]) -> ComposeError:
    """The runner ended without an event that says why: its own output is all there is."""
    brief = f"the runner was killed by signal {-code}" if code < 0 else f"the runner ended with status {code}"
    if code == ExitCode.INPUT_WRONG and said and said[0].startswith("error: "):
        return InputError(said[0].removeprefix("error: "), details=said[1:])
    return BuildError(brief, details=said)
