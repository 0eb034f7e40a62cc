"""Unpack packages directly into the tree, several at once.

Every worker process has the tree as its root (chroot), so that a symlink of one package cannot lead another package's
file out of it. The result is what `dpkg --unpack` leaves on disk: owners, modes and times of the archive, existing
directories (also those reached through a symlink, as in a merged /usr) unchanged.
"""

import hashlib
import os
import stat
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from stagelib.apt import deb
from stagelib.errors import StageError

FIRST_DYNAMIC_ID = 100  # lower ids are the same on every Debian system; for others dpkg uses names


@dataclass
class Unpacked:
    """The result of unpacking one package."""

    paths: list[str] = field(default_factory=list)  # as in dpkg's .list file: "/.", "/usr", ...
    files: list[str] = field(default_factory=list)  # those that are not directories
    directories: list[tuple[str, int, int, int]] = field(default_factory=list)  # path, mode, uid, gid
    conffiles: dict[str, str] = field(default_factory=dict)  # path to md5
    reason: str = ""  # why only dpkg can unpack this package; "" when it is done


class Workers:
    """Processes that read packages, one per core. Archives are named relative to their directory."""

    def __init__(self, tree: str, archives: str, work: str) -> None:
        """tree: where packages are unpacked; archives: where they are read from; work: where write_stored() writes."""
        dirs = (os.open(archives, os.O_RDONLY | os.O_DIRECTORY), os.open(work, os.O_RDONLY | os.O_DIRECTORY))
        self._pool = ProcessPoolExecutor(
            os.cpu_count(), mp_context=get_context("fork"), initializer=_enter, initargs=(tree, *dirs)
        )

    def control(self, archive: str) -> "Future[dict[str, deb.ControlFile]]":
        """Read a package's control files."""
        return self._pool.submit(_control, archive)

    def unpack(self, archive: str, conffiles: Sequence[str]) -> "Future[Unpacked]":
        """Unpack a package into the tree; the result gives the md5 of each of its conffiles."""
        return self._pool.submit(_unpack, archive, frozenset(conffiles))

    def write_stored(self, archive: str, name: str) -> "Future[None]":
        """Write the package uncompressed into the work directory as `name`."""
        return self._pool.submit(_write_stored, archive, name)

    def close(self) -> None:
        """End the processes; pending tasks are dropped."""
        self._pool.shutdown(cancel_futures=True)


_dirs = {"archives": -1, "work": -1}


def _enter(tree: str, archives: int, work: int) -> None:
    _dirs.update(archives=archives, work=work)
    os.chroot(tree)
    os.chdir("/")
    os.umask(0)


def _open(archive: str) -> int:
    return os.open(archive, os.O_RDONLY | os.O_CLOEXEC, dir_fd=_dirs["archives"])


def _control(archive: str) -> dict[str, deb.ControlFile]:
    fd = _open(archive)
    try:
        return deb.control(fd)
    except deb.DebError as error:
        raise StageError(f"package {archive}: {error}") from None
    finally:
        os.close(fd)


def _write_stored(archive: str, name: str) -> None:
    fd = _open(archive)
    out = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=_dirs["work"])
    try:
        deb.write_stored(fd, out)
    except deb.DebError as error:
        raise StageError(f"package {archive}: {error}") from None
    finally:
        os.close(out)
        os.close(fd)


def _unpack(archive: str, conffiles: frozenset[str]) -> Unpacked:
    fd = _open(archive)
    done = Unpacked()
    try:
        stream = deb.data_stream(fd)
        for entry in deb.entries(stream):
            if max(entry.uid, entry.gid) >= FIRST_DYNAMIC_ID:
                done.reason = f"/{entry.path} belongs to {entry.uid}:{entry.gid}"
            done.paths.append("/" + (entry.path or "."))
            if entry.type == "5":
                _directory(entry)
                done.directories.append(("/" + entry.path, entry.mode, entry.uid, entry.gid))
                continue
            done.files.append("/" + entry.path)
            if entry.type == "0":
                digest = hashlib.md5(usedforsecurity=False) if "/" + entry.path in conffiles else None
                _file(entry, stream, digest)
                if digest:
                    done.conffiles["/" + entry.path] = digest.hexdigest()
            else:
                _link(entry)
    except deb.DebError as error:
        done.reason = str(error)
    finally:
        os.close(fd)
    return done


def _directory(entry: deb.Entry) -> None:
    path = "/" + entry.path
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if os.path.isdir(path):
            return
        raise
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        os.mkdir(path, 0o700)
    os.chown(path, entry.uid, entry.gid)
    os.chmod(path, entry.mode)


def _file(entry: deb.Entry, stream: deb.Stream, digest: "hashlib._Hash | None") -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    _make_room("/" + entry.path)
    fd = os.open("/" + entry.path, flags, 0o600)
    try:
        left = entry.size
        while left:
            part = stream.chunk(left)
            if not part:
                raise deb.DebError("it ends too early")
            left -= len(part)
            if digest:
                digest.update(part)
            while part:
                part = part[os.write(fd, part) :]
        os.fchown(fd, entry.uid, entry.gid)
        os.fchmod(fd, entry.mode)
        os.utime(fd, (entry.mtime, entry.mtime))
    finally:
        os.close(fd)


def _link(entry: deb.Entry) -> None:
    path = "/" + entry.path
    if entry.type == "1":
        _make_room(path)
        os.link("/" + deb.clean(entry.target), path, follow_symlinks=False)
        return
    if not (os.path.islink(path) and os.readlink(path) == entry.target):  # base-files ships a merged /usr's links
        if os.path.isdir(path):
            return  # as dpkg: neither a directory nor a symlink to one is replaced by a symlink
        _make_room(path)
        os.symlink(entry.target, path)
    os.chown(path, entry.uid, entry.gid, follow_symlinks=False)
    os.utime(path, (entry.mtime, entry.mtime), follow_symlinks=False)


def _make_room(path: str) -> None:
    """Create the file's directory if its package does not ship it, and remove another package's file."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        return
    if stat.S_ISDIR(mode):
        raise deb.DebError(f"{path} is a directory of another package")
    os.unlink(path)
