"""Directories by descriptor, so that trees of any depth are read, changed and removed without leaving them.

A path longer than PATH_MAX can't be used at once, and any path may lead through a symlink or a mount that appeared
meanwhile. So directories are entered one by one, and only one is open at a time.
"""

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from runner.errors import RunnerError, build_error
from runner.sandbox import syscalls

FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
RESOLVE = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS | syscalls.RESOLVE_NO_XDEV
MAX_PATHS = (
    1 << 30
)  # bytes of all paths of a tree: those of one chain of directories grow with the square of its length
MAX_PATH = 4000  # bytes of a relative path that are resolved at once; PATH_MAX is 4096


class Entry(NamedTuple):
    """An entry of a tree: its relative path, its lstat, and a short path to it that is good until the next entry."""

    path: bytes
    info: os.stat_result
    place: bytes


def open_directory(name: str | bytes, dir_fd: int) -> int:
    """Open a directory below another, by a relative path without "..": not through a symlink or into a mount.

    Raises OSError; EXDEV where something is mounted.
    """
    try:
        return syscalls.openat2(name, FLAGS, RESOLVE, dir_fd=dir_fd)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):  # an old kernel, or a container's filter
            raise
    return _open_without_openat2(name, dir_fd)


def _open_without_openat2(path: str | bytes, dir_fd: int) -> int:
    mount = _mount_id(dir_fd)
    fd = os.dup(dir_fd)
    try:
        for name in os.fsencode(path).split(b"/"):
            below = os.open(name, FLAGS, dir_fd=fd)
            os.close(fd)
            fd = below
            if _mount_id(fd) != mount:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    except OSError:
        os.close(fd)
        raise
    return fd


def _mount_id(fd: int) -> str:
    """The id of the mount that a descriptor is on, proc(5)."""
    lines = Path(f"/proc/self/fdinfo/{fd}").read_text(encoding="ascii").splitlines()
    return next(line for line in lines if line.startswith("mnt_id:"))


class Cursor:
    """A place in a tree, that moves from directory to directory."""

    def __init__(self, fd: int) -> None:
        """fd is the top directory, and is the cursor's from now on."""
        self.fd = fd
        self._above: list[tuple[int, int]] = []

    @staticmethod
    @contextlib.contextmanager
    def at(directory: Path) -> Iterator["Cursor"]:
        """A cursor in this directory, closed afterwards. Raises OSError."""
        cursor = Cursor(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        try:
            yield cursor
        finally:
            cursor.close()

    def enter(self, name: str) -> None:
        """Move into a directory of the present one. Raises OSError, EXDEV where something is mounted."""
        self.move_down(open_directory(name, self.fd))

    def move_down(self, fd: int) -> None:
        """Move into a directory that was opened below the present one."""
        info = os.fstat(self.fd)
        self._above.append((info.st_dev, info.st_ino))
        self._move(fd)

    def leave(self) -> None:
        """Move back to the directory above. Raises OSError (ESTALE) if the present one was moved meanwhile."""
        self._move(os.open("..", FLAGS, dir_fd=self.fd))
        info = os.fstat(self.fd)
        if self._above.pop() != (info.st_dev, info.st_ino):
            raise OSError(errno.ESTALE, "a directory was moved while it was read")

    def place(self, name: str) -> bytes:
        """A short path to an entry of the present directory, good until the cursor moves."""
        return b"/proc/self/fd/%d/%s" % (self.fd, os.fsencode(name))

    def _move(self, fd: int) -> None:
        os.close(self.fd)
        self.fd = fd

    def close(self) -> None:
        """Close the present directory."""
        os.close(self.fd)


def walk(directory: Path) -> Iterator[Entry]:
    """Every entry below a directory: parents first, names in byte order. The entries may be changed, not moved.

    Raises RunnerError (build) if the paths would fill the memory.
    """
    size = 0

    with Cursor.at(directory) as cursor:
        path = b""
        todo: list[list[str]] = []  # directories yet to be entered, from the top down
        while True:
            with os.scandir(cursor.fd) as scan:
                found = sorted((os.fsencode(entry.name), entry) for entry in scan)
            below = []
            for name, entry in found:
                info = entry.stat(follow_symlinks=False)
                here = os.path.join(path, name)
                size += len(here)
                if size > MAX_PATHS:
                    raise build_error("the directories of the tree are nested too deeply: its paths fill a GiB")
                yield Entry(here, info, cursor.place(entry.name))
                if stat.S_ISDIR(info.st_mode):
                    below.append(entry.name)
            todo.append(below[::-1])
            while not todo[-1]:
                todo.pop()
                if not todo:
                    return
                cursor.leave()
                path = os.path.dirname(path)
            next_one = todo[-1].pop()
            cursor.enter(next_one)
            path = os.path.join(path, os.fsencode(next_one))


class Places:
    """Short paths to the entries of a tree, for paths of any length."""

    def __init__(self, top: Path) -> None:
        """top is the tree's directory."""
        self._top = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._directory, self._fd = b"", os.dup(self._top)

    def __enter__(self) -> "Places":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        os.close(self._top)

    def __call__(self, path: bytes) -> bytes:
        """A path to the entry of this relative path, good until the next call; b"" is the top directory.

        The directory that it is in is below the top, not through symlinks or mounts. Raises OSError.
        """
        directory, name = os.path.split(path)
        self._move_to(directory)
        return b"/proc/self/fd/%d/%s" % (self._fd, name or b".")

    def parent(self, path: bytes) -> int:
        """The descriptor of the directory that the entry is in, good until the next call. Raises OSError."""
        self._move_to(os.path.dirname(path))
        return self._fd

    def _move_to(self, directory: bytes) -> None:
        if directory == self._directory:
            return
        rest, fd = directory, self._top
        if self._directory and directory.startswith(self._directory + b"/"):
            rest, fd = directory[len(self._directory) + 1 :], self._fd
        fd = os.dup(fd)
        while rest:
            part, rest = _split(rest)
            try:
                below = open_directory(part, fd)
            finally:
                os.close(fd)
            fd = below
        os.close(self._fd)
        self._fd, self._directory = fd, directory


def _split(path: bytes) -> tuple[bytes, bytes]:
    """As much of a path as can be resolved at once, and the rest."""
    if len(path) <= MAX_PATH:
        return path, b""
    end = path.rindex(b"/", 0, MAX_PATH)
    return path[:end], path[end + 1 :]


@contextlib.contextmanager
def keeping_times(directory: bytes) -> Iterator[None]:
    """Set the times of a directory back afterwards."""
    info = os.stat(directory)
    yield
    os.utime(directory, ns=(info.st_atime_ns, info.st_mtime_ns))


@contextlib.contextmanager
def temporary_directory(prefix: str, parent: Path) -> Iterator[Path]:
    """A new directory in `parent`, removed afterwards as remove_tree() does."""
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield path
    finally:
        remove_tree(path)


def remove_tree(path: Path) -> None:
    """Remove a directory and its content, or a file, never through a symlink or into a mount.

    A mount at `path` or below it, even one of the same file system, is an error (RunnerError), and nothing in it is
    touched. It is no error if nothing is at `path`. Raises OSError.
    """
    try:
        above = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        _remove(path.name, above, path)
    finally:
        os.close(above)


def remove_leftovers(paths: Iterable[Path], say: Callable[[str], None]) -> None:
    """Remove what killed builds left. What cannot be removed, for instance a mount, is reported and stays."""
    for path in paths:
        try:
            remove_tree(path)
        except (RunnerError, OSError) as error:
            say(f"what an earlier build left could not be removed: {error}")


def _remove(name: str, above: int, path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISDIR(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
            _unlink(name, above, path)
            return
        cursor = Cursor(_open_to_empty(name, above, path))
        try:
            _empty(cursor, path)
        finally:
            cursor.close()
        os.rmdir(name, dir_fd=above)


def _empty(cursor: Cursor, path: Path) -> None:
    names: list[str] = []  # from the top to the cursor
    todo = [_remove_files(cursor.fd, path, names)]
    while True:
        if todo[-1]:
            names.append(todo[-1].pop())
            cursor.move_down(_open_to_empty(names[-1], cursor.fd, path, names))
            todo.append(_remove_files(cursor.fd, path, names))
            continue
        todo.pop()
        if not todo:
            return
        cursor.leave()
        os.rmdir(names.pop(), dir_fd=cursor.fd)


def _open_to_empty(name: str, above: int, path: Path, names: Sequence[str] = ()) -> int:
    """Open a directory whose content is to be removed, and make that possible for its owner."""
    try:
        try:
            fd = open_directory(name, above)
        except PermissionError:  # its mode forbids it
            _allow(name, above)
            fd = open_directory(name, above)
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise _mounted(path, names) from None
        raise
    with contextlib.suppress(PermissionError):  # another's, which removing an empty one does not need
        os.fchmod(fd, 0o700)
    return fd


def _allow(name: str, above: int) -> None:
    fd = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        os.chmod(f"/proc/self/fd/{fd}", 0o700)
    finally:
        os.close(fd)


def _remove_files(fd: int, path: Path, names: list[str]) -> list[str]:
    """Remove what is no directory from one; returns the directories in it."""
    directories = []
    with os.scandir(fd) as scan:
        entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in scan]
    for name, is_directory in entries:
        if is_directory:
            directories.append(name)
        else:
            _unlink(name, fd, path, [*names, name])
    return directories


def _unlink(name: str, above: int, path: Path, names: Sequence[str] = ()) -> None:
    try:
        os.unlink(name, dir_fd=above)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise _mounted(path, names) from None
        raise


def _mounted(path: Path, names: Sequence[str]) -> RunnerError:
    shown = os.path.join(path, *names)
    return build_error(
        f"{shown} is a mount point; it and the directories above it were not removed", hint=f"umount {shown}"
    )
