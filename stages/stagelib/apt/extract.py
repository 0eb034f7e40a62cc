"""Unpack packages directly into the tree, several at once.

Every file is made beneath the tree's descriptor, so that a symlink of one package cannot lead another package's file
out of it. The result is what `dpkg --unpack` leaves on disk: owners, modes and times of the archive, existing
directories (also those reached through a symlink, as in a merged /usr) unchanged. A package that cannot be unpacked
so, for whatever reason, is left to dpkg, which says what is wrong with it.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from stagelib import devices, openat2, tree_paths
from stagelib.apt import deb
from stagelib.apt.compression import DebError, Stream, TooLargeError
from stagelib.apt.package import Package, checked
from stagelib.apt.resolve import Archive
from stagelib.devices import Device
from stagelib.errors import StageError

FIRST_DYNAMIC_ID = 100  # lower ids are the same on every Debian system; for others dpkg uses names
OPEN_DIRECTORIES = 64
FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass
class Unpacked:
    """The result of unpacking one package."""

    paths: list[str] = field(default_factory=list)  # as in dpkg's .list file: "/.", "/usr", ...
    files: list[str] = field(default_factory=list)  # those that are not directories
    directories: list[tuple[str, int, int, int]] = field(default_factory=list)  # path, mode, uid, gid
    conffiles: dict[str, str] = field(default_factory=dict)  # path to md5
    reason: str = ""  # why only dpkg can unpack this package; "" when it is done


class Workers:
    """Processes that read packages, one per core."""

    def __init__(self, tree: str, archives: Sequence[str], work: str) -> None:
        """tree: where packages are unpacked; archives: the directories that have them, by their digests; work: where
        write_stored() writes."""
        work_fd, *fds = (os.open(path, os.O_PATH | os.O_DIRECTORY) for path in (work, *archives))
        self._pool = ProcessPoolExecutor(
            os.cpu_count(), mp_context=get_context("fork"), initializer=enter, initargs=(tree, work_fd, fds)
        )

    def read(self, archive: Archive) -> "Future[Package]":
        """Read a package's control files."""
        return self._pool.submit(read, archive)

    def unpack(self, package: Package) -> "Future[Unpacked]":
        """Unpack a package into the tree; the result gives the md5 of each of its conffiles."""
        conffiles = frozenset(package.conffiles)
        return self._pool.submit(unpack, package.archive, conffiles, package.installed_size)

    def write_stored(self, package: Package, name: str) -> "Future[dict[str, Device]]":
        """Write the package uncompressed into the work directory as `name`; as it is, when it cannot be read.

        The result has the devices that are empty files in it, by path.
        """
        return self._pool.submit(write_stored, package.archive, name, package.installed_size)

    def close(self) -> None:
        """End the processes; pending tasks are dropped."""
        self._pool.shutdown(cancel_futures=True)


_dirs: dict[str, list[int]] = {"work": [], "archives": []}
_trees: list["_Tree"] = []


def enter(tree: str, work: int, archives: Sequence[int]) -> None:
    """Prepare this process to do a worker's work, with descriptors of the directories."""
    _dirs.update(work=[work], archives=list(archives))
    _trees[:] = [_Tree(tree)]
    os.umask(0)


def _open(archive: Archive) -> int:
    for directory in _dirs["archives"]:
        with contextlib.suppress(FileNotFoundError):
            return os.open(archive.sha256, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    raise StageError(f"{archive} is no longer where downloads are kept", "do not clean the store meanwhile")


def damaged(archive: Archive, why: object) -> StageError:
    """The error for an archive that is as the repository has it, and cannot be installed."""
    return StageError(
        f"package {archive.package}: {archive} cannot be installed: {why}",
        "it is damaged in the repository itself, whose digest it has: leave it out, or take another version",
    )


def read(archive: Archive) -> Package:
    """A worker's part of Workers.read(). Raises StageError."""
    fd = _open(archive)
    try:
        return checked(archive, deb.control(fd))
    except DebError as error:
        raise damaged(archive, error) from None
    finally:
        os.close(fd)


def write_stored(archive: Archive, name: str, declared: int) -> dict[str, Device]:
    """A worker's part of Workers.write_stored(). Raises StageError for an archive that would fill the disk."""
    fd = _open(archive)
    out = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=_dirs["work"][0])
    try:
        return deb.write_stored(fd, out, declared)
    except TooLargeError as error:
        raise damaged(archive, error) from None
    except DebError:
        # dpkg knows better what is wrong with it, if anything is
        os.ftruncate(out, 0)
        os.lseek(out, 0, os.SEEK_SET)
        with open(fd, "rb", closefd=False) as source, open(out, "wb", closefd=False) as target:
            source.seek(0)
            shutil.copyfileobj(source, target)
        return {}
    finally:
        os.close(out)
        os.close(fd)


def unpack(archive: Archive, conffiles: frozenset[str], declared: int) -> Unpacked:
    """A worker's part of Workers.unpack(). Raises OSError when the disk is full."""
    fd = _open(archive)
    done = Unpacked()
    path = ""
    try:
        stream = deb.data_stream(fd, declared)
        for entry in deb.entries(stream):
            path = "/" + entry.path
            if max(entry.uid, entry.gid) >= FIRST_DYNAMIC_ID:
                done.reason = f"{path} belongs to {entry.uid}:{entry.gid}"
            if "\n" in path:
                raise DebError("it holds a name with a line break")
            _put(entry, stream, conffiles, done)
    except DebError as error:
        done.reason = str(error)
    except OSError as error:
        if error.errno in FULL:
            raise
        done.reason = f"{path}: {error.strerror}"
    finally:
        os.close(fd)
    if not done.reason:
        done.reason = _oddity(done, conffiles)
    return done


def _oddity(done: Unpacked, conffiles: frozenset[str]) -> str:
    """What only dpkg judges of a package that was unpacked; "" when there is nothing."""
    if len(set(done.paths)) != len(done.paths):
        return "it holds a file twice"
    missing = sorted(conffiles.difference(done.conffiles))
    return f"its conffile {missing[0]} is none of its files" if missing else ""


def _put(entry: deb.Entry, stream: Stream, conffiles: frozenset[str], done: Unpacked) -> None:
    tree = _trees[-1]
    path = "/" + entry.path
    done.paths.append("/" + (entry.path or "."))
    if entry.type == "5":
        tree.directory(entry)
        done.directories.append((path, entry.mode, entry.uid, entry.gid))
        return
    done.files.append(path)
    if entry.type == "0":
        digest = hashlib.md5(usedforsecurity=False) if path in conffiles else None
        tree.file(entry, stream, digest)
        if digest:
            done.conffiles[path] = digest.hexdigest()
    elif entry.device:
        tree.placeholder(entry, entry.device)
    else:
        tree.link(entry)


class _Tree:
    """Makes files in the tree, beneath its descriptor; the last used directories stay open."""

    def __init__(self, tree: str) -> None:
        self._tree = tree
        self._root = os.open(tree, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        self._open: OrderedDict[str, int] = OrderedDict()

    def __del__(self) -> None:
        for fd in (self._root, *self._open.values()):
            os.close(fd)

    def _parent(self, path: str) -> tuple[int, str]:
        """A descriptor of the directory of `path`, which is made if it is missing, and the last component."""
        above, _, name = path.rpartition("/")
        if above in self._open:
            self._open.move_to_end(above)
            return self._open[above], name
        try:
            fd = self._directory(above)
        except FileNotFoundError:  # the package does not ship it
            tree_paths.make_dirs(self._tree, above)
            fd = self._directory(above)
        self._open[above] = fd
        if len(self._open) > OPEN_DIRECTORIES:
            os.close(self._open.popitem(last=False)[1])
        return fd, name

    def _directory(self, path: str) -> int:
        return openat2.openat2(self._root, path or ".", os.O_PATH | os.O_DIRECTORY, openat2.IN_ROOT)

    def directory(self, entry: deb.Entry) -> None:
        """Make a directory; one that exists, also through a symlink, stays as it is."""
        if not entry.path:
            return
        parent, name = self._parent(entry.path)
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            if self._is_directory(entry.path):
                return
            raise
        os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        os.chmod(name, entry.mode, dir_fd=parent)

    def file(self, entry: deb.Entry, stream: Stream, digest: "hashlib._Hash | None") -> None:
        """Write a regular file, whose content is next in the stream."""
        parent, name = self._parent(entry.path)
        self._make_room(parent, name, entry.path)
        fd = os.open(name, tree_paths.CREATE | os.O_CLOEXEC, 0o600, dir_fd=parent)
        try:
            left = entry.size
            while left:
                part = stream.chunk(left)
                if not part:
                    raise DebError("it ends too early")
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

    def placeholder(self, entry: deb.Entry, device: Device) -> None:
        """Make the placeholder of a device node."""
        parent, name = self._parent(entry.path)
        self._make_room(parent, name, entry.path)
        fd = devices.make_placeholder(name, device, directory=parent)
        try:
            os.fchown(fd, entry.uid, entry.gid)
            os.fchmod(fd, entry.mode)
            os.utime(fd, (entry.mtime, entry.mtime))
        finally:
            os.close(fd)

    def link(self, entry: deb.Entry) -> None:
        """Make a hard link or a symlink."""
        parent, name = self._parent(entry.path)
        if entry.type == "1":
            target = deb.clean(entry.target)
            if not target:
                raise DebError(f"/{entry.path} is a hard link to nothing")
            with tree_paths.parent(self._tree, target) as (directory, other):
                if stat.S_ISDIR(os.lstat(other, dir_fd=directory).st_mode):
                    raise DebError(f"/{entry.path} is a hard link to a directory")
                if target == entry.path:
                    raise DebError(f"/{entry.path} is a hard link to itself")
                self._make_room(parent, name, entry.path)
                os.link(other, name, src_dir_fd=directory, dst_dir_fd=parent, follow_symlinks=False)
            return
        if not self._is_symlink_to(parent, name, entry.target):  # base-files ships a merged /usr's links
            if self._is_directory(entry.path):
                return  # as dpkg: neither a directory nor a symlink to one is replaced by a symlink
            self._make_room(parent, name, entry.path)
            os.symlink(entry.target, name, dir_fd=parent)
        os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        os.utime(name, (entry.mtime, entry.mtime), dir_fd=parent, follow_symlinks=False)

    def _is_directory(self, path: str) -> bool:
        try:
            os.close(self._directory(path))
        except OSError:
            return False
        return True

    @staticmethod
    def _is_symlink_to(parent: int, name: str, target: str) -> bool:
        try:
            return os.readlink(name, dir_fd=parent) == target
        except OSError:
            return False

    @staticmethod
    def _make_room(parent: int, name: str, path: str) -> None:
        """Remove another package's file."""
        try:
            mode = os.lstat(name, dir_fd=parent).st_mode
        except FileNotFoundError:
            return
        if stat.S_ISDIR(mode):
            raise DebError(f"/{path} is a directory of another package")
        os.unlink(name, dir_fd=parent)
