"""Paths by which bubblewrap can reach directories of the caller's.

It looks them up as root of the runner's user namespace, whose capabilities are over files of known owners and groups
only. A directory that is closed to others and has a group that an ordinary user's namespace does not map, such as the
home of somebody who uses newgrp(1), is in its way. The runner, which is the caller, mounts what is behind it elsewhere.
"""

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.sandbox import syscalls

PLACES = ("/dev/shm", "/tmp", "/var/tmp")  # noqa: S108 - for empty private directories to mount on
BINDS = ("--bind", "--ro-bind", "--ro-bind-try")
UNMAPPED = 65534  # what ids that a namespace does not have look like, proc(5), overflowuid


@dataclass(frozen=True)
class Reachable:
    """The directories that are mounted elsewhere, with the places where they are."""

    mounted: tuple[tuple[Path, Path], ...] = ()

    def in_arguments(self, argv: Sequence[str]) -> list[str]:
        """Arguments of bubblewrap in which the sources of mounts are paths that it can reach."""
        before = ("", *argv)
        return [self._path(word) if option in BINDS else word for option, word in zip(before, argv, strict=False)]

    def _path(self, path: str) -> str:
        for directory, place in self.mounted:
            if Path(path).is_relative_to(directory):
                return str(place / Path(path).relative_to(directory))
        return path


@contextlib.contextmanager
def reachable(directories: Sequence[Path]) -> Iterator[Reachable]:
    """Make directories, with what is mounted in them later, reachable while this lasts. Raises OSError."""
    behind = [one for one in directories if _is_closed_off(one)]
    behind = [one for one in behind if not any(one != other and one.is_relative_to(other) for other in behind)]
    if not behind:
        yield Reachable()
        return
    gate = Path(tempfile.mkdtemp(prefix="osbuild-compose-gate-", dir=next(filter(_can_be_used, PLACES))))
    with contextlib.ExitStack() as stack:
        stack.callback(gate.rmdir)
        mounted = []
        for number, directory in enumerate(dict.fromkeys(behind)):
            place = gate / str(number)
            place.mkdir()
            stack.callback(place.rmdir)
            # Two mounts of a peer group: what is mounted in one appears in the other, mount_namespaces(7).
            syscalls.mount(str(directory), str(directory), "", syscalls.MS_BIND, "")
            stack.callback(syscalls.unmount, str(directory), syscalls.MNT_DETACH)
            syscalls.mount("none", str(directory), "", syscalls.MS_SHARED, "")
            syscalls.mount(str(directory), str(place), "", syscalls.MS_BIND, "")
            stack.callback(syscalls.unmount, str(place), syscalls.MNT_DETACH)
            mounted.append((directory, place))
        yield Reachable(tuple(mounted))


def _is_closed_off(directory: Path) -> bool:
    for one in (directory, *directory.parents):
        info = one.stat()
        if not info.st_mode & stat.S_IXOTH and UNMAPPED in (info.st_uid, info.st_gid):
            return True
    return False


def _can_be_used(place: str) -> bool:
    return os.access(place, os.W_OK | os.X_OK)
