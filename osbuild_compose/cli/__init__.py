"""The command line: parse, call, print. Nothing heavy is imported before it is needed."""

import gc
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial

from osbuild_compose import signals
from osbuild_compose.cli import standard_streams
from osbuild_compose.errors import ComposeError, ExitCode, HostError
from osbuild_compose.report.terminal import ReaderGoneError


def program() -> int:
    """Run the command line as this process's only task; returns its exit code.

    A short command spends a fifth of its time on looking for garbage among what was just imported, half of that when
    the interpreter ends. There is none.
    """
    gc.set_threshold(100_000)
    standard_streams.protect()
    try:
        return main()
    finally:
        standard_streams.release()
        gc.freeze()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (errors.ExitCode). Errors are shown on standard error."""
    code = _reported(partial(_run, argv))
    return _reported(_flush) or code


def _run(argv: Sequence[str] | None) -> int:
    from osbuild_compose.cli import complete  # noqa: PLC0415
    from osbuild_compose.cli.app import app  # noqa: PLC0415

    if complete.VARIABLE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]  # noqa: PLC0415

        completion_init()
    try:
        return int(app(list(argv) if argv is not None else None, prog_name="compose", standalone_mode=True) or 0)
    except SystemExit as done:  # the library's own way to end, also after --help
        return done.code if isinstance(done.code, int) else int(bool(done.code))


def _flush() -> int:
    sys.stdout.flush()
    return ExitCode.DONE


def _reported(run: Callable[[], int]) -> int:
    """The exit code of a function whose errors are shown."""
    try:
        return run()
    except ComposeError as raised:
        error = raised
    except signals.Stopped as stopped:
        return signals.exit_code(stopped.number)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except (BrokenPipeError, ReaderGoneError):
        return int(ExitCode.HUNG_UP)  # whoever read our output has gone
    except OSError as raised:
        error = _of_this_machine(raised)
    from osbuild_compose.report import error_text  # noqa: PLC0415

    error_text.show(error, sys.stderr)
    return int(error.exit_code)


def _of_this_machine(error: OSError) -> ComposeError:
    """The error for one of the operating system that no command expects."""
    try:
        os.getcwd()
    except OSError:
        return HostError("the working directory does not exist any more", hint="change to another one: cd")
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return HostError(f"{where}{error.strerror or error}")
