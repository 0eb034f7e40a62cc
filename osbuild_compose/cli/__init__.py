"""The command line: parse, call, print. Nothing heavy is imported before it is needed."""

import gc
import os
import sys
from collections.abc import Sequence

from osbuild_compose.errors import ComposeError, ExitCode


def program() -> int:
    """Run the command line as this process's only task; returns its exit code.

    A short command spends a fifth of its time on looking for garbage among what was just imported, half of that when
    the interpreter ends. There is none.
    """
    gc.set_threshold(100_000)
    try:
        return main()
    finally:
        gc.freeze()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (errors.ExitCode). Errors are shown on standard error."""
    from osbuild_compose.cli import complete  # noqa: PLC0415
    from osbuild_compose.cli.app import app  # noqa: PLC0415

    if complete.VARIABLE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]  # noqa: PLC0415

        completion_init()
    try:
        return int(app(list(argv) if argv is not None else None, prog_name="compose", standalone_mode=True) or 0)
    except SystemExit as done:  # the library's own way to end, also after --help
        return done.code if isinstance(done.code, int) else int(bool(done.code))
    except ComposeError as error:
        from osbuild_compose.report import error_text  # noqa: PLC0415

        error_text.show(error, sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has seen enough; closing standard output must not complain once more.
        sys.stderr.close()
        return int(ExitCode.BUILD_FAILED)
