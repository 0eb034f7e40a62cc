"""The command line: parse, call, print. Nothing heavy is imported before it is needed."""

import sys
from collections.abc import Sequence

from osbuild_compose.errors import ComposeError, ExitCode


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (errors.ExitCode). Errors are shown on standard error."""
    from osbuild_compose.cli.app import app  # noqa: PLC0415

    try:
        return int(app(list(argv) if argv is not None else None, prog_name="compose", standalone_mode=True) or 0)
    except SystemExit as done:  # the library's own way to end, also after --help
        return done.code if isinstance(done.code, int) else int(bool(done.code))
    except ComposeError as error:
        from osbuild_compose.report import errors  # noqa: PLC0415

        errors.show(error, sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has seen enough; closing standard output must not complain once more.
        sys.stderr.close()
        return int(ExitCode.BUILD_FAILED)
