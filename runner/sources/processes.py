"""Starts programs that end with the runner, however it ends."""

import os
import resource
import shutil

from runner import tools

# A runner that ended before setpriv was at work is noticed by its child's new parent. A file that exceeds the limit of
# a process is then an error that the program reports, instead of a signal that ends it.
_START = 'trap "" XFSZ; [ "$PPID" = "$0" ] && exec "$@"'


def bound_to_runner(argv: list[str]) -> list[str]:
    """The command line that runs argv as a child of this process and is killed when the thread that started it ends.

    Raises RunnerError (environment) if that is not possible here.
    """
    if shutil.which("setpriv") is None:
        raise tools.missing("setpriv", "fetching needs")
    return ["setpriv", "--pdeathsig", "KILL", "--", "/bin/sh", "-c", _START, str(os.getpid()), *argv]


def limit_file_size(pid: int, size: int) -> None:
    """Let the process write no file beyond so many bytes."""
    _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    soft = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
