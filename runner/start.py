"""The program `compose-runner`: signals are handled before anything that takes time is imported."""

from runner import signals


def program() -> None:
    """Run the command line."""
    signals.exit_at_once()
    from runner.__main__ import main  # noqa: PLC0415

    main()
