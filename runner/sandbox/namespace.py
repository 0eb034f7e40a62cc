"""The runner's own namespaces: always a mount namespace, and a user namespace unless it runs as root.

Only the runner and its children see what it mounts, and that goes away with the last of them, however they end. An
ordinary user becomes root of a user namespace that maps their own id to 0 and their subordinate ids (/etc/subuid,
/etc/subgid) to 1 and up; from there on everything is as for root, user_namespaces(7).
"""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from runner.errors import RunnerError, environment_error
from runner.sandbox import syscalls

# All of Debian's ids, up to 65534 (nobody), must exist inside.
IDS_NEEDED = 65535


@dataclass(frozen=True)
class IdRange:
    """Subordinate ids: the first one and how many."""

    first: int
    count: int


def enter() -> None:
    """Give this process, which must have one thread, its own mount namespace and, unless it is root, a user namespace.

    Raises RunnerError (environment) that says what the machine or the user's account lacks.
    """
    if os.geteuid() != 0:
        _enter_user_namespace()
    try:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE, "")
    except OSError as error:
        raise environment_error(
            f"this process may not make a mount namespace: {error.strerror}",
            hint="a container needs to allow unshare and mount, or run as an ordinary user with subordinate ids",
        ) from None


def subordinate_ids(path: Path, user: str, uid: int) -> IdRange | None:
    """The largest range that a file like /etc/subuid gives to a user, by name or number; None if there is none."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    ranges = []
    for line in lines:
        owner, _, rest = line.partition(":")
        first, _, count = rest.partition(":")
        if owner in (user, str(uid)) and first.isdigit() and count.isdigit():
            ranges.append(IdRange(int(first), int(count)))
    return max(ranges, key=lambda found: found.count, default=None)


def _enter_user_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    uids = subordinate_ids(Path("/etc/subuid"), user, uid)
    gids = subordinate_ids(Path("/etc/subgid"), user, uid)
    if uids is None or gids is None or min(uids.count, gids.count) < IDS_NEEDED:
        raise environment_error(
            f"user {user} has no range of {IDS_NEEDED} subordinate ids in /etc/subuid and /etc/subgid",
            hint=f"as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}",
        )
    for tool in ("newuidmap", "newgidmap"):
        if shutil.which(tool) is None:
            raise environment_error(
                f"building without root needs {tool}", hint="install uidmap (Debian) or shadow-utils (Fedora)"
            )
    ready, wait = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(wait)
        os.read(ready, 1)  # returns when the parent has its new namespace
        os._exit(_map_parent(uid, gid, uids, gids))
    os.close(ready)
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
    except OSError as error:
        os.close(wait)
        os.waitpid(child, 0)
        raise _no_user_namespaces(error) from None
    os.close(wait)
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise environment_error(
            "newuidmap or newgidmap refused to map the subordinate ids (its message is above)",
            hint="in a container, /usr/bin/newuidmap must be setuid root and the outer map must hold the ids",
        )
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def _map_parent(uid: int, gid: int, uids: IdRange, gids: IdRange) -> int:
    """Map the parent's namespace: 0 is the user, 1 and up the subordinate ids. Returns an exit status."""
    parent = str(os.getppid())
    for tool, own, ids in (("newuidmap", uid, uids), ("newgidmap", gid, gids)):
        argv = [tool, parent, "0", str(own), "1", "1", str(ids.first), str(ids.count)]
        if subprocess.run(argv, check=False).returncode != 0:
            return 1
    return 0


def _no_user_namespaces(error: OSError) -> RunnerError:
    return environment_error(
        f"this machine does not let ordinary users make user namespaces: {error.strerror}",
        hint="as root: sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000 "
        "(on Ubuntu also kernel.apparmor_restrict_unprivileged_userns=0), or build as root",
    )
