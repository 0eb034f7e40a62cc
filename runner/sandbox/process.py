"""Runs a sandboxed program: arguments in, log lines and progress out, and no process left afterwards."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.cancellation import Cancellation
from runner.sandbox import bwrap, limits
from runner.sandbox.bwrap import Descriptors
from runner.sandbox.log import Log
from runner.sandbox.seccomp import filter_program

CHUNK = 1 << 18
MAX_LINE = 1 << 16  # bytes of a report
INTERVAL = 0.5  # seconds between looks whether bubblewrap has ended without its sandbox
MAX_UNIT = 20  # characters
MAX_NOTE = 1000  # characters
MAX_WHAT = 80
# The first process of a sandbox is bubblewrap, whose environment the others can see: it must not be the caller's, whose
# PATH has names of directories at least.
ENVIRONMENT = {"PATH": bwrap.ENVIRONMENT["PATH"]}


@dataclass(frozen=True)
class Completed:
    """A program that ended.

    returncode is its exit status, or the negative number of the signal that killed it. output is what it printed, or
    the beginning and the end of that, and then log the file with all of it. usage is what was seen of it.
    """

    returncode: int
    output: str
    log: Path | None
    usage: limits.Usage


@dataclass(frozen=True)
class Bounds:
    """What a program may use, the directories in which it uses space, and a file for its output if that is long."""

    limits: limits.Limits
    places: Sequence[Path]
    log: Path


@dataclass(frozen=True)
class Sandbox:
    """A sandbox to start: its command line, from the descriptors that it inherits, and its user namespace."""

    command: Callable[[Descriptors], list[str]]
    namespace: int


def run(
    sandbox: Sandbox,
    arguments: Mapping[str, Any],
    on_line: Callable[[str], None],
    on_report: Callable[[str, Mapping[str, Any]], None],
    *,
    cancellation: Cancellation,
    bounds: Bounds,
) -> Completed:
    """Run a sandbox to its end, or to where it exceeds its bounds.

    on_line gets each line as it is printed, and on_report the name and fields of each event that the program reports,
    `progress` or `note`. After an exception the sandbox and all processes in it have ended, too. cancellation ends it
    from another thread; then RunnerError (interrupted) is raised.
    """
    data = json.dumps(arguments).encode()
    with contextlib.ExitStack() as stack:
        stdin_fd, file_fd = (_memory_file(stack, data) for _ in range(2))
        rules = filter_program()
        seccomp = _memory_file(stack, rules) if rules else None
        progress_out, progress_in = os.pipe()
        stack.callback(os.close, progress_out)
        process = subprocess.Popen(
            [
                *bounds.limits.command(),
                *sandbox.command(Descriptors(sandbox.namespace, file_fd, progress_in, seccomp)),
            ],
            env=ENVIRONMENT,
            stdin=stdin_fd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(sandbox.namespace, file_fd, progress_in, *((seccomp,) if seccomp is not None else ())),
            start_new_session=True,
        )
        os.close(progress_in)
        log = Log(bounds.log, on_line)
        try:
            with (
                cancellation.watching(process),
                limits.watched(process, bounds.limits, bounds.places, lambda: _kill(process)) as usage,
            ):
                _follow(process, progress_out, log.add, on_report)
                log.close()
                # bubblewrap ends after the last process of the sandbox: only then nothing changes the tree any more.
                process.wait()
        except BaseException:
            _kill(process)
            raise
        finally:
            _wait(process)
        cancellation.check()
        return Completed(_status(process.returncode), log.text, log.file, usage)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a sandbox: bubblewrap's child, which is the first process there, or bubblewrap if it has none yet."""
    children = limits.children(process.pid)
    for child in children:
        with contextlib.suppress(OSError):
            os.kill(child, signal.SIGKILL)
    if not children:
        process.kill()


def _wait(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a sandbox that was killed, or has ended."""
    try:
        process.wait(INTERVAL)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _kill_orphans(process)
    assert process.stdout
    process.stdout.close()


def _kill_orphans(process: subprocess.Popen[bytes]) -> None:
    """Kill what bubblewrap left when it ended while it made the sandbox: a child that waits for it, for ever."""
    for pid in limits.session(process.pid):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def shell(sandbox: Sandbox, arguments: Mapping[str, Any]) -> None:
    """Run a sandbox on the terminal until the user leaves it."""
    with contextlib.ExitStack() as stack:
        file_fd = _memory_file(stack, json.dumps(arguments).encode())
        rules = filter_program()
        seccomp = _memory_file(stack, rules) if rules else None
        keep = (sandbox.namespace, file_fd, *((seccomp,) if seccomp is not None else ()))
        argv = sandbox.command(Descriptors(sandbox.namespace, file_fd, 2, seccomp))
        subprocess.run(argv, check=False, pass_fds=keep, env=ENVIRONMENT)


def _status(returncode: int) -> int:
    """bubblewrap reports a program's death by signal as 128 + its number, as shells do."""
    if 128 < returncode <= 128 + signal.NSIG:
        return 128 - returncode
    return returncode


def _memory_file(stack: contextlib.ExitStack, data: bytes) -> int:
    fd = os.memfd_create("arguments")
    stack.callback(os.close, fd)
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _report(line: bytes) -> tuple[str, dict[str, Any]] | None:
    """The event that a program reports, as its name and fields; None for anything else that it may have written."""
    try:
        report = json.loads(line)
        if "note" in report:
            message = report["note"]
            return ("note", {"message": message[:MAX_NOTE]}) if isinstance(message, str) else None
        done, total, unit = report["done"], report["total"], report["unit"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if type(done) is not int or type(total) is not int or not isinstance(unit, str) or len(unit) > MAX_UNIT:
        return None
    what = report.get("what")
    about = {"what": what} if isinstance(what, str) and 0 < len(what) <= MAX_WHAT else {}
    return "progress", {"done": done, "total": total, "unit": unit, **about}


def _follow(
    process: subprocess.Popen[bytes],
    progress: int,
    on_output: Callable[[bytes], None],
    on_report: Callable[[str, Mapping[str, Any]], None],
) -> None:
    """Read the output and the progress reports until the program and all that it started have closed the output."""
    assert process.stdout
    output = process.stdout.fileno()
    pending = b""
    with selectors.DefaultSelector() as selector:
        for fd in (output, progress):
            selector.register(fd, selectors.EVENT_READ)
        # A program may close its progress pipe early; the sandbox ends with the log.
        while output in selector.get_map():
            ready = selector.select(INTERVAL)
            if not ready and process.poll() is not None:
                _kill_orphans(process)
            # Reports first: what a step prints belongs to what it says that it does.
            for fd in sorted((key.fd for key, _ in ready), key=lambda fd: fd == output):
                chunk = os.read(fd, CHUNK)
                if not chunk:
                    selector.unregister(fd)
                elif fd == output:
                    on_output(chunk)
                else:
                    *lines, pending = (pending + chunk).split(b"\n")
                    pending = b"" if len(pending) > MAX_LINE else pending
                    for event, fields in filter(None, map(_report, lines)):
                        on_report(event, fields)
