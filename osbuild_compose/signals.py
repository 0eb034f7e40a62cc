"""The signals that end a command: SIGINT, SIGTERM and SIGHUP.

While a command has nothing to tidy up it ends at once, inside the handler: an exception, raised wherever the program
happens to be, could be lost or shown as a traceback. Where there is something to tidy up, `tidied` raises one.

This is imported first, and imports next to nothing: until it has been, Python prints a traceback on SIGINT.
"""

import os
import sys

TYPE_CHECKING = False  # as in typing
if TYPE_CHECKING:
    import signal
    from types import FrameType
else:
    import _signal as signal  # what the module signal is made of, which takes longer to import than all of the rest

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 1.7  # seconds for tidying up
ROUNDS = 20  # of looking for programs to end


class Stopped(BaseException):
    """A signal has ended the command: an event, not an error."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def exit_code(number: int) -> int:
    """The exit code of a process that a signal stopped, as shells show it: 130 for SIGINT."""
    return 128 + number


def caught() -> list[int]:
    """The signals that end this process: all but SIGHUP where nohup(1) has made it ignored."""
    return [one for one in STOPPING if one is not signal.SIGHUP or signal.getsignal(one) is not signal.SIG_IGN]


def exit_at_once() -> None:
    """From now on these signals end the process, with the exit code of an interrupted command.

    They are also unblocked: who starts the program may block them until it has got here, so that they do not meet
    Python's own handlers, which print a traceback.
    """
    for number in caught():
        signal.signal(number, _exit)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)


class tidied:  # noqa: N801 - a context manager
    """In this context a signal raises Stopped, and the process has PATIENCE seconds to end.

    It does nothing where the process has handlers of its own, or in another thread than the main one.
    """

    def __init__(self) -> None:
        self._numbers: list[int] = []

    def __enter__(self) -> None:
        if signal.getsignal(signal.SIGINT) is _exit:
            self._numbers = caught()
        for number in self._numbers:
            signal.signal(number, _raise)

    def __exit__(self, *_: object) -> None:
        for number in self._numbers:
            if signal.getsignal(number) is _raise:
                signal.signal(number, _exit)


def limit(number: int, seconds: float = PATIENCE) -> None:
    """Have this process end after so many seconds, with the exit code for the signal `number`, whatever it does."""
    signal.signal(signal.SIGALRM, lambda _number, _frame: leave(number))
    signal.setitimer(signal.ITIMER_REAL, seconds)


def leave(number: int) -> None:
    """End the process, and all that it has started, with the exit code for the signal `number`."""
    for _ in range(ROUNDS):
        found = _descendants()
        for pid in found:
            try:  # noqa: SIM105 - contextlib takes long to import
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        if not found:
            break
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except OSError:
            pass
    os._exit(exit_code(number))


def _exit(number: int, _frame: "FrameType | None") -> None:
    leave(number)


def _raise(number: int, _frame: "FrameType | None") -> None:
    for one in caught():
        signal.signal(one, signal.SIG_IGN)  # further ones would disturb the tidying
    sys.unraisablehook = lambda _: None  # what is raised in a destructor is lost, and nobody need see it
    limit(number)
    raise Stopped(number)


def _descendants() -> list[int]:
    """The processes that this one has started, and those that they have, without the ones that have ended."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{int(name)}/stat", "rb") as file:  # noqa: PTH123 - pathlib takes long to import
                # Behind the name in parentheses come the state and the parent, proc_pid_stat(5).
                state, parent = file.read().rpartition(b")")[2].split()[:2]
        except (OSError, ValueError):
            continue
        if state != b"Z":
            children.setdefault(int(parent), []).append(int(name))
    found: list[int] = []
    todo = [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found
