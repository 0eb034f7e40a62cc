"""What the runner does once, so that sandboxes leave the machine's device nodes and core dump handler alone."""

import contextlib
import os
import resource

from runner.sandbox import syscalls

# The nodes that bubblewrap shows in every sandbox. They are the machine's own inodes.
DEVICES = ("full", "null", "random", "tty", "urandom", "zero")


def protect_devices() -> None:
    """Make the device nodes read-only in this mount namespace: they can be written to, but their times can't be set.

    Their owner and mode can't be changed anyhow: they belong to nobody in the runner's user namespace. A node that
    cannot be mounted on, as in some containers, stays as it is.
    """
    for name in DEVICES:
        path = f"/dev/{name}"
        with contextlib.suppress(OSError):
            syscalls.mount(path, path, "", syscalls.MS_BIND, "")
            # Flags that were set outside of the user namespace must stay, mount_namespaces(7); statvfs has them.
            kept = os.statvfs(path).f_flag & (syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC)
            syscalls.mount("none", path, "", syscalls.MS_BIND | syscalls.MS_REMOUNT | syscalls.MS_RDONLY | kept, "")


def forbid_core_dumps() -> None:
    """Forbid core dumps of this process and those that it starts, core(5).

    A handler of the machine runs as root outside of every sandbox, and would read what a hostile program left for it.
    It is not started if the limit is 1 byte; a limit of 0 would be ignored.
    """
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    limit = 1 if hard == resource.RLIM_INFINITY else min(hard, 1)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (limit, limit))
