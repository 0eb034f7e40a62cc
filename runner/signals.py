"""The signals that ask the runner to stop, and what it does about them while nothing needs to be cleaned up.

This is imported first, and imports next to nothing: until it has been, Python prints a traceback on SIGINT.
"""

import os

TYPE_CHECKING = False  # as in typing
if TYPE_CHECKING:
    import signal
    from types import FrameType
else:
    import _signal as signal  # what the module signal is made of, which takes longer to import than all of the rest

SIGHUP = signal.SIGHUP
STOPPING = (signal.SIGINT, signal.SIGTERM, SIGHUP)
MESSAGE = b"error: interrupted\n"


def caught() -> list[int]:
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


def _exit(number: int, _frame: "FrameType | None") -> None:
    try:  # noqa: SIM105 - contextlib takes long to import
        os.write(2, MESSAGE)
    except OSError:
        pass
    os._exit(exit_code(number))
