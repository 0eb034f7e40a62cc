"""Remove directory trees of any depth, without ever entering a mount or following a symlink."""

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from stagelib.errors import StageError

FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: str) -> None:
    """Remove a directory and its content, or a file; nothing happens if nothing is there.

    Raises StageError where something is mounted, also of the same file system: nothing in the mount is touched.
    """
    above, name = os.path.split(path.rstrip("/"))
    fd = os.open(above or ".", FLAGS & ~os.O_NOFOLLOW)
    try:
        with suppress(FileNotFoundError):
            _remove(fd, name, path)
    finally:
        os.close(fd)


@contextmanager
def temporary_directory(prefix: str = "", parent: str | None = None) -> Iterator[str]:
    """A new directory in `parent` (None: where temporary files belong), removed at the end as remove_tree() does."""
    path = tempfile.mkdtemp(prefix=prefix, dir=parent)
    try:
        yield path
    finally:
        remove_tree(path)


def _remove(above: int, name: str, path: str) -> None:
    if not stat.S_ISDIR(os.stat(name, dir_fd=above, follow_symlinks=False).st_mode):
        _unlink(above, name, path)
        return
    # One directory is open at a time: `names` lead from `above` to it, and `todo` has what is left in each of them.
    fd, names = _open(above, name, path), [name]
    try:
        todo = [_remove_files(fd, path)]
        while todo:
            if todo[-1]:
                names.append(todo[-1].pop())
                below = _open(fd, names[-1], path)
                os.close(fd)
                fd = below
                todo.append(_remove_files(fd, path))
                continue
            todo.pop()
            parent = os.open("..", FLAGS, dir_fd=fd)
            os.close(fd)
            fd = parent
            os.rmdir(names.pop(), dir_fd=fd)  # fails if the directory was moved meanwhile
    finally:
        os.close(fd)


def _open(above: int, name: str, path: str) -> int:
    """Open a directory that is on the same mount as the one above it, and may be changed."""
    fd = os.open(name, FLAGS, dir_fd=above)
    if _mount_id(fd) != _mount_id(above):
        os.close(fd)
        raise _mounted(name, path)
    with suppress(PermissionError):  # another's, which removing an empty one does not need
        os.fchmod(fd, 0o700)
    return fd


def _mount_id(fd: int) -> str:
    """The id of the mount that a descriptor is on, proc(5). Device numbers are the same for bind mounts."""
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as file:
        return next(line for line in file if line.startswith("mnt_id:"))


def _remove_files(fd: int, path: str) -> list[str]:
    """Remove what is no directory from one; returns the directories in it."""
    with os.scandir(fd) as scan:
        entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in scan]
    for name, is_directory in entries:
        if not is_directory:
            _unlink(fd, name, path)
    return [name for name, is_directory in entries if is_directory]


def _unlink(above: int, name: str, path: str) -> None:
    try:
        os.unlink(name, dir_fd=above)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise _mounted(name, path) from None
        raise


def _mounted(name: str, path: str) -> StageError:
    return StageError(f"{os.path.basename(name)} in {path} is a mount point and was not removed")
