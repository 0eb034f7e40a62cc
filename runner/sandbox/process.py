"""Runs a sandboxed program: arguments in, log lines and progress out, and no process left afterwards."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.cancellation import Cancellation
from runner.sandbox.bwrap import Descriptors
from runner.sandbox.seccomp import filter_program

CHUNK = 1 << 16
MAX_LINE = 1 << 16
MAX_UNIT = 20  # characters
# The first process of a sandbox is bubblewrap, whose environment the others can see: it must not be the caller's.
ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath)}


@dataclass(frozen=True)
class Completed:
    """A program that ended: its exit status, or the negative number of the signal that killed it, and its output."""

    returncode: int
    output: str


@dataclass(frozen=True)
class Sandbox:
    """A sandbox to start: its command line, from the descriptors that it inherits, and its user namespace."""

    command: Callable[[Descriptors], list[str]]
    namespace: int


def run(
    sandbox: Sandbox,
    arguments: Mapping[str, Any],
    on_line: Callable[[str], None],
    on_progress: Callable[[Mapping[str, Any]], None],
    cancellation: Cancellation,
) -> Completed:
    """Run a sandbox to its end.

    on_line gets each line as it is printed, and on_progress each progress report. After an exception the sandbox and
    all processes in it have ended, too. cancellation ends it from another thread; then RunnerError (interrupted) is
    raised.
    """
    data = json.dumps(arguments).encode()
    with contextlib.ExitStack() as stack:
        stdin_fd, file_fd = (_memory_file(stack, data) for _ in range(2))
        rules = filter_program()
        seccomp = _memory_file(stack, rules) if rules else None
        progress_out, progress_in = os.pipe()
        stack.callback(os.close, progress_out)
        process = subprocess.Popen(
            sandbox.command(Descriptors(sandbox.namespace, file_fd, progress_in, seccomp)),
            env=ENVIRONMENT,
            stdin=stdin_fd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(sandbox.namespace, file_fd, progress_in, *((seccomp,) if seccomp is not None else ())),
            start_new_session=True,
        )
        os.close(progress_in)
        try:
            with cancellation.watching(process):
                output = _follow(process, progress_out, on_line, on_progress)
        except BaseException:
            process.kill()
            raise
        finally:
            assert process.stdout
            # The pipe ends with the last process of the sandbox: only then nothing changes the tree any more.
            while process.stdout.read(CHUNK):
                pass
            process.stdout.close()
            process.wait()
        cancellation.check()
        return Completed(_status(process.returncode), output)


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


def _progress(line: bytes) -> dict[str, Any] | None:
    """A program's progress report; None for anything else that it may have written."""
    try:
        report = json.loads(line)
        done, total, unit = report["done"], report["total"], report["unit"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if type(done) is not int or type(total) is not int or not isinstance(unit, str) or len(unit) > MAX_UNIT:
        return None
    return {"done": done, "total": total, "unit": unit}


def _follow(
    process: subprocess.Popen[bytes],
    progress: int,
    on_line: Callable[[str], None],
    on_progress: Callable[[Mapping[str, Any]], None],
) -> str:
    assert process.stdout
    log: list[str] = []

    def logged(line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        log.append(text)
        on_line(text)

    def reported(line: bytes) -> None:
        report = _progress(line)
        if report:
            on_progress(report)

    handlers = {process.stdout.fileno(): logged, progress: reported}
    pending = dict.fromkeys(handlers, b"")
    with selectors.DefaultSelector() as selector:
        for fd in handlers:
            selector.register(fd, selectors.EVENT_READ)
        # A program may close its progress pipe early; the sandbox ends with the log.
        while process.stdout.fileno() in selector.get_map():
            for ready, _ in selector.select():
                fd = ready.fd
                chunk = os.read(fd, CHUNK)
                if not chunk:
                    selector.unregister(fd)
                *lines, rest = (pending[fd] + chunk).split(b"\n")
                if rest and (not chunk or len(rest) > MAX_LINE):
                    lines, rest = [*lines, rest], b""
                pending[fd] = rest
                for line in lines:
                    handlers[fd](line)
    return "\n".join(log)
