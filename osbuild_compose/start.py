"""The program `compose`: signals are handled before anything that takes time is imported."""

from osbuild_compose import signals


def program() -> int:
    """Run the command line; returns its exit code."""
    signals.exit_at_once()
    from osbuild_compose.cli import program as run  # noqa: PLC0415

    return run()
