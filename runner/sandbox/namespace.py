"""The runner's own namespaces: a user namespace with ids that no account of the machine has, and a mount namespace.

    ids inside       ids of the machine
    0 to 65535       a range of subordinate ids: what trees consist of belongs to them
    65536            the caller, root or not: what the runner makes in the store belongs to the caller
    above            for root: all other ids of the machine, so that root may use everybody's files

In there the runner stays the caller, with all capabilities over these ids, and none over anything else. Sandboxes run
in a further user namespace below, which has the ids 0 to 65535 only: root in a sandbox is neither root of the machine
nor the caller, and its capabilities mean nothing outside, user_namespaces(7).

Only the runner and its children see what it mounts, and that goes away with the last of them, however they end.
"""

import contextlib
import grp
import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.errors import RunnerError, environment_error
from runner.sandbox import syscalls, sysctls
from runner.tools import ID_PACKAGE, ID_TOOLS, install

IDS = 65536  # all that a system may use, up to nobody (65534)
CALLER = IDS
ROOTS_IDS = 0x7E00_0000  # where root's range is, unless /etc/subuid gives root one; above the ids of directory services
FIRST_SUBORDINATE = 100000  # where useradd begins to give ranges to users, login.defs(5)
HIGHEST = 0x7FFF_FFFF  # ids from here on are negative to some programs


@dataclass(frozen=True)
class IdRange:
    """A range of ids: the first one and how many."""

    first: int
    count: int

    def overlaps(self, other: "IdRange") -> bool:
        """Whether the ranges have an id in common."""
        return self.first < other.first + other.count and other.first < self.first + self.count


@dataclass(frozen=True)
class IdMap:
    """A user namespace's ids, as triples of the first id inside, the first outside, and how many."""

    uids: tuple[tuple[int, int, int], ...]
    gids: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Namespaces:
    """The namespaces of a run: a descriptor of the one for sandboxes, and the name of its range of ids."""

    sandbox: int
    ids: str


def enter() -> Namespaces:
    """Give this process, which must have one thread, its own user namespace and mount namespace.

    Raises RunnerError (environment) that says what the machine or the user's account lacks.
    """
    is_root = os.geteuid() == 0
    ids = own_map()
    if is_root and _proc_is_covered():
        # In a user namespace nobody may mount a /proc without having a whole one, but root may outside, as in podman.
        with contextlib.suppress(OSError):
            syscalls.unshare(syscalls.CLONE_NEWNS)
            syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE, "")
            syscalls.mount("proc", "/proc", "proc", syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOEXEC, "")
    _enter_user_namespace(ids, _write_map if is_root else _newidmap)
    syscalls.keep_capabilities()
    try:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount("none", "/", "", syscalls.MS_REC | syscalls.MS_PRIVATE, "")
        sandbox = _namespace_below()
    except OSError as error:
        raise environment_error(
            f"this process may not make namespaces: {error.strerror}",
            hint=_mend_namespaces(is_root=is_root),
        ) from None
    return Namespaces(sandbox, f"{ids.uids[0][1]} {ids.gids[0][1]}")


def own_map() -> IdMap:
    """The ids that the namespace of this user's builds has. Raises RunnerError (environment) if there are none."""
    return _roots_map() if os.geteuid() == 0 else _users_map()


def _proc_is_covered() -> bool:
    """Whether something is mounted over a part of /proc, as containers do to hide it, proc_pid_mountinfo(5)."""
    lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    return any(line.split()[4].startswith("/proc/") for line in lines)


def subordinate_ids(path: Path, user: str, uid: int) -> IdRange | None:
    """The largest range that a file like /etc/subuid gives to a user, by name or number; None if there is none."""
    ranges = [found for owner, found in _table(path) if owner in (user, str(uid))]
    return max(ranges, key=lambda found: found.count, default=None)


def _table(path: Path) -> list[tuple[str, IdRange]]:
    """The owners and ranges in a file like /etc/subuid, subuid(5)."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        owner, _, rest = line.partition(":")
        first, _, count = rest.partition(":")
        if first.isdecimal() and count.isdecimal():
            found.append((owner, IdRange(int(first), int(count))))
    return found


def _users_map() -> IdMap:
    uid, gid = os.geteuid(), os.getegid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = str(uid)
    uids = subordinate_ids(Path("/etc/subuid"), user, uid)
    gids = subordinate_ids(Path("/etc/subgid"), user, uid)
    if uids is None or gids is None or min(uids.count, gids.count) < IDS:
        accounts = [number for account in pwd.getpwall() for number in (account.pw_uid, account.pw_gid)]
        accounts += [group.gr_gid for group in grp.getgrall()]
        raise environment_error(
            f"user {user} has no range of {IDS} subordinate ids in /etc/subuid and /etc/subgid",
            hint=_usermod(user, range_to_give(Path("/etc"), accounts)),
        )
    for tool in ID_TOOLS:
        if shutil.which(tool) is None:
            raise environment_error(f"building without root needs {tool}", hint=install([ID_PACKAGE]))
    return IdMap(((0, uids.first, IDS), (CALLER, uid, 1)), ((0, gids.first, IDS), (CALLER, gid, 1)))


def range_to_give(etc: Path, accounts: Iterable[int]) -> int | None:
    """The first id of a range that a user can get as subordinate users and groups; None if there is none.

    It has no id that anybody has as one, in subuid or subgid in the directory `etc`; none of an account or a group,
    whose numbers are `accounts`; and none that root's builds use.
    """
    taken = [found for name in ("subuid", "subgid") for _, found in _table(etc / name)]
    taken += [IdRange(number, 1) for number in accounts]
    first = _free_range([*taken, IdRange(ROOTS_IDS, IDS)], FIRST_SUBORDINATE)
    return first if first + IDS <= HIGHEST else None


def _usermod(user: str, first: int | None) -> str:
    if first is None:
        return "all ids are taken: remove ranges that are not in use from /etc/subuid and /etc/subgid"
    ids = f"{first}-{first + IDS - 1}"
    return f"as root: usermod --add-subuids {ids} --add-subgids {ids} {user}"


def _roots_map() -> IdMap:
    """Root's ids: those for sandboxes, and from the caller's on all others, whose files root may use as before.

    Root of a container without ids to spare uses those of the container for sandboxes, too.
    """
    uids, gids = own_ids("uid"), own_ids("gid")
    return IdMap(
        (*(trees := roots_ids(Path("/etc/subuid"), uids)), *others(trees[0][1], uids)),
        (*(trees := roots_ids(Path("/etc/subgid"), gids)), *others(trees[0][1], gids)),
    )


def others(first: int, known: Sequence[IdRange]) -> Iterator[tuple[int, int, int]]:
    """The map of the ids from CALLER on to all known ones but those for trees, which begin at `first`."""
    inside = CALLER
    for have in sorted(known, key=lambda one: one.first):
        end = have.first + have.count
        for start, stop in ((have.first, min(first, end)), (max(have.first, first + IDS), end)):
            if start < stop:
                yield inside, start, stop - start
                inside += stop - start


def own_ids(kind: str) -> list[IdRange]:
    """The ids that exist in this process's user namespace, as it maps them; kind is "uid" or "gid"."""
    lines = Path(f"/proc/self/{kind}_map").read_text().splitlines()
    return [IdRange(int(inside), int(count)) for inside, _, count in map(str.split, lines)]


def roots_ids(table: Path, known: Sequence[IdRange]) -> tuple[tuple[int, int, int], ...]:
    """The map of the ids 0 to 65535 to those for root's sandboxes, as triples.

    They are those that the table (/etc/subuid) gives to root, or else some that nobody in the table has; known are the
    ids that exist. In a small user namespace, such as a container's, they are the container's own. Raises RunnerError
    (environment) where there are not even those.
    """
    own = subordinate_ids(table, "root", 0)
    firsts = [own.first] if own and own.count >= IDS else []
    firsts.append(_free_range([found for _, found in _table(table)], ROOTS_IDS))
    end = max((found.first + found.count for found in known), default=0)
    firsts += [end - IDS, 0] if end >= 2 * IDS else [0]
    for first in firsts:
        pieces = tuple(_pieces(IdRange(first, IDS), known))
        if sum(count for _, _, count in pieces) == IDS:
            return pieces
    raise environment_error(
        f"this user namespace has {sum(found.count for found in known)} of the {IDS} ids that building needs",
        hint="build outside of it, or map a range of subordinate ids, as `unshare --map-auto` does",
    )


def _pieces(wanted: IdRange, known: Sequence[IdRange]) -> Iterator[tuple[int, int, int]]:
    """The map from 0 on to what exists of a range, each piece within one line of the namespace's own map."""
    for have in sorted(known, key=lambda one: one.first):
        first = max(wanted.first, have.first)
        count = min(wanted.first + wanted.count, have.first + have.count) - first
        if count > 0:
            yield first - wanted.first, first, count


def _free_range(taken: Sequence[IdRange], start: int) -> int:
    """The first id of a range, at `start` or above, that overlaps none of those taken."""
    first = start
    while first + IDS <= HIGHEST and (blocking := [one for one in taken if one.overlaps(IdRange(first, IDS))]):
        first = max(one.first + one.count for one in blocking)
    return first


def _enter_user_namespace(ids: IdMap, write: Callable[[int, IdMap], bool]) -> None:
    """Enter a new user namespace; a child that stays outside writes its map."""
    parent = os.getpid()
    ready, wait = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(wait)
            # Returns when the parent has its new namespace, or with nothing when it has failed or was killed.
            status = 0 if os.read(ready, 1) and write(parent, ids) else 1
        finally:
            os._exit(status)
    os.close(ready)
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER)
        os.write(wait, b".")
    except OSError as error:
        raise _no_user_namespaces(error) from None
    finally:
        os.close(wait)
        _, status = os.waitpid(child, 0)
    if status != 0:
        raise environment_error(
            "the range of subordinate ids could not be mapped (the message is above)",
            hint="in a container, /usr/bin/newuidmap must be setuid root and the outer map must hold the ids",
        )


def _newidmap(pid: int, ids: IdMap) -> bool:
    for tool, triples in (("newuidmap", ids.uids), ("newgidmap", ids.gids)):
        argv = [tool, str(pid), *(str(number) for triple in triples for number in triple)]
        if subprocess.run(argv, check=False).returncode != 0:
            return False
    return True


def _write_map(pid: int, ids: IdMap) -> bool:
    try:
        for kind, triples in (("uid", ids.uids), ("gid", ids.gids)):
            Path(f"/proc/{pid}/{kind}_map").write_text(_lines(triples))
    except OSError as error:
        os.write(2, f"{error.filename}: {error.strerror}\n".encode())
        return False
    return True


def _lines(triples: Iterable[tuple[int, int, int]]) -> str:
    return "".join(f"{inside} {outside} {count}\n" for inside, outside, count in triples)


def _namespace_below() -> int:
    """A descriptor of a new user namespace below this process's, with the ids of trees only. Raises OSError."""
    started, start = os.pipe()
    ended, end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(end)
        try:
            syscalls.unshare(syscalls.CLONE_NEWUSER)
            os.write(start, b".")
            os.read(ended, 1)  # returns when the parent has closed the other end
        finally:
            os._exit(0)
    os.close(start)
    os.close(ended)
    try:
        os.read(started, 1)
        namespace = os.open(f"/proc/{child}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        for kind in ("uid", "gid"):
            Path(f"/proc/{child}/{kind}_map").write_text(_lines(_pieces(IdRange(0, IDS), own_ids(kind))))
    finally:
        os.close(started)
        os.close(end)
        os.waitpid(child, 0)
    return namespace


def _no_user_namespaces(error: OSError) -> RunnerError:
    return environment_error(
        f"this machine does not let you make user namespaces: {error.strerror}",
        hint=_mend_namespaces(is_root=os.geteuid() == 0),
    )


def _mend_namespaces(*, is_root: bool) -> str:
    """What to do where namespaces cannot be made: change the settings that forbid it, or a container's."""
    forbidding = sysctls.forbidding(sysctls.values(), is_root=is_root)
    return sysctls.command(forbidding) if forbidding else "a container needs to allow unshare and mount"
