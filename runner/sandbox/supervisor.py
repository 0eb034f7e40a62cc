"""Puts a run into a pid namespace of its own, so that nothing that it starts can outlive it.

The process that was started becomes the supervisor, which only waits: for signals, which it passes on, and for the end
of the run. The run itself goes on in a child, which is the first process of the namespace: when it ends, however it
ends, the kernel kills all others there, pid_namespaces(7). It ends at once when the supervisor is killed.
"""

import os
import select
import signal
import time
from typing import NoReturn

from runner import signals
from runner.cancellation import GRACE, Cancellation
from runner.errors import environment_error
from runner.sandbox import syscalls

PROC_HINT = (
    "in a container, parts of /proc are hidden, which no user namespace may undo: "
    "allow that (podman, docker: --security-opt unmask=ALL or systempaths=unconfined)"
)
PATIENCE = GRACE + 0.4  # seconds from a signal until the run is killed
HELPERS_PATIENCE = 0.3  # seconds
INTERVAL = 0.05  # seconds


def die_with(parent: int | None) -> None:
    """End this process when its parent ends; `parent` is the parent's id, None to let it live.

    To be called by the process's main thread, and again after a change of its credentials, prctl(2).
    """
    if parent is not None:
        syscalls.die_with_parent()
        if os.getppid() != parent:
            os._exit(signals.exit_code(signal.SIGKILL))


def contain(cancellation: Cancellation, parent: int | None, helper: int, *, with_shell: bool) -> None:
    """Go on in a child of this process, which must have one thread, in a new pid namespace. It returns in the child.

    From then on signals cancel the run. parent is as for die_with. helper is the id of another child of this process,
    which is ended when the run has ended. with_shell: there may be a shell on the terminal, which Ctrl-C is meant for.
    Raises RunnerError (environment).
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*signals.STOPPING, signal.SIGCHLD})
    try:
        syscalls.unshare(syscalls.CLONE_NEWPID)
    except OSError as error:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise environment_error(
            f"this process may not make a pid namespace: {error.strerror}", hint="a container needs to allow unshare"
        ) from None
    alive, kept = os.pipe()
    child = os.fork()
    if child:
        os.close(alive)
        die_with(parent)
        code, stopped_by = _supervise(child, helper, with_shell)
        _end_helper(helper)
        _end(code, stopped_by)
    os.close(kept)
    syscalls.die_with_parent()
    if select.select([alive], [], [], 0)[0]:  # at its end: the supervisor has ended already
        os._exit(signals.exit_code(signal.SIGKILL))
    os.close(alive)
    cancellation.listen(is_init=True)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:  # with the ids that processes have here
        syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC, "")
    except OSError as error:
        raise environment_error(f"/proc cannot be mounted here: {error.strerror}", PROC_HINT) from None


def _supervise(child: int, helper: int, with_shell: bool) -> tuple[int, int | None]:
    """Pass signals on until the child ends; returns its exit code and the signal that has stopped it, if any.

    Where the helper was killed, the child is stopped.
    """
    awaited = {*signals.caught(), signal.SIGCHLD}
    stopped_by: int | None = None
    deadline = float("inf")
    while True:
        left = deadline - time.monotonic()
        got = signal.sigtimedwait(awaited, max(0.0, min(left, 3600.0)))
        number = got.si_signo if got is not None else 0
        if number == signal.SIGCHLD and _has_failed(helper):
            number = signal.SIGTERM
        if number not in (0, signal.SIGCHLD):
            os.kill(child, number)
            if stopped_by is None and not (with_shell and number == signal.SIGINT):
                stopped_by = number
                deadline = time.monotonic() + PATIENCE
        elif time.monotonic() >= deadline:
            os.kill(child, signal.SIGKILL)
            deadline = float("inf")
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), stopped_by


def _has_failed(helper: int) -> bool:
    """Whether the helper has ended in another way than by itself; it stays to be waited for."""
    ended = os.waitid(os.P_PID, helper, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    return ended is not None and ended.si_status != 0


def _end_helper(helper: int) -> None:
    """End the helper, which may have temporary files to remove."""
    os.kill(helper, signal.SIGTERM)
    end = time.monotonic() + HELPERS_PATIENCE
    while os.waitpid(helper, os.WNOHANG)[0] == 0:
        if time.monotonic() > end:
            os.kill(helper, signal.SIGKILL)
        signal.sigtimedwait({signal.SIGCHLD}, INTERVAL)


def _end(code: int, stopped_by: int | None) -> NoReturn:
    if stopped_by is not None:
        os._exit(signals.exit_code(stopped_by))
    if code < 0:  # as the child ended: of a signal
        if -code != signal.SIGKILL:
            signal.signal(-code, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-code})
        os.kill(os.getpid(), -code)
    os._exit(abs(code))
