"""The signals that ask the runner to stop, and what it does about them while nothing needs to be cleaned up."""

import contextlib
import os
import signal
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MESSAGE = b"error: interrupted\n"


def caught() -> list[signal.Signals]:
    """The signals that stop this process: all but SIGHUP where nohup(1) has made it ignored."""
    return [one for one in STOPPING if one is not signal.SIGHUP or signal.getsignal(one) is not signal.SIG_IGN]


def exit_code(number: int) -> int:
    """The exit code of a process that a signal stopped, as shells show it: 130 for SIGINT."""
    return 128 + number


def exit_at_once() -> None:
    """From now on these signals end the process, with the message and the exit code of an interrupted run.

    They are also unblocked: who starts the runner may block them until it has got here, so that they do not meet
    Python's own handlers, which print a traceback.
    """
    for number in caught():
        signal.signal(number, _exit)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


def _exit(number: int, _frame: FrameType | None) -> None:
    with contextlib.suppress(OSError):
        os.write(2, MESSAGE)
    os._exit(exit_code(number))
