"""The standard streams of the process: open, filtered, and quiet at the end."""

import os
import sys

from osbuild_compose.report.terminal import SafeStream


def protect() -> None:
    """Make all three standard streams usable, and the two for output safe for a terminal.

    A closed one is replaced by one that cannot be written to: the next file that is opened would get its number.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)
    if sys.stdin is None:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    sys.stdout = SafeStream(1, "standard output", encoding, matters=True)
    sys.stderr = SafeStream(2, "standard error", encoding, matters=False)


def release() -> None:
    """Go back to Python's own streams, which it writes out when it ends: ours may have failed, which was reported."""
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
