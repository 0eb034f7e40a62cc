"""Read and write files inside a tree that may be hostile.

A path of the tree is followed as the booted system would follow it: absolute symlinks and ".." start and end at the
tree's root, never at the host's. Nothing else changes the tree while a stage runs, so following it step by step is
free of races.
"""

import errno
import os
import shutil
import stat
from typing import BinaryIO

from stagelib.errors import StageError

MAX_SYMLINKS = 40  # the kernel's own limit, path_resolution(7)


def resolve(tree: str, path: str, *, follow_last: bool = True) -> str:
    """The host path of the tree's `path`, with every symlink followed inside the tree.

    The last component need not exist; with follow_last=False it is not followed when it is a symlink.
    Raises OSError (ELOOP) on more than 40 symlinks and (ENOTDIR) when a component in the middle is a file.
    """
    todo = [part for part in path.split("/") if part not in ("", ".")][::-1]
    done: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            if done:
                done.pop()
            continue
        here = os.path.join(tree, *done, part)
        try:
            mode = os.lstat(here).st_mode
        except FileNotFoundError:
            done.append(part)
            continue
        if stat.S_ISLNK(mode) and (todo or follow_last):
            links += 1
            if links > MAX_SYMLINKS:
                raise OSError(errno.ELOOP, "too many symlinks in the tree", path)
            target = os.readlink(here)
            if target.startswith("/"):
                done.clear()
            todo.extend([p for p in target.split("/") if p not in ("", ".")][::-1])
            continue
        if todo and not stat.S_ISDIR(mode):
            raise NotADirectoryError(errno.ENOTDIR, "a file is in the place of a directory", path)
        done.append(part)
    return os.path.join(tree, *done)


def make_dirs(tree: str, path: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> str:
    """Create the directory `path` and its missing parents; returns the host path.

    mode and owner are for every directory that is created; existing ones are not changed.
    Raises FileExistsError when something other than a directory exists there.
    """
    host = resolve(tree, path)
    missing = []
    while not os.path.isdir(host):
        if os.path.lexists(host):
            raise FileExistsError(errno.EEXIST, "not a directory", path)
        missing.append(host)
        host = os.path.dirname(host)
    for one in reversed(missing):
        os.mkdir(one)
        os.chown(one, uid, gid)
        os.chmod(one, mode)
    return resolve(tree, path)


def write_file(
    tree: str, path: str, data: str | bytes | BinaryIO, *, mode: int = 0o644, uid: int = 0, gid: int = 0
) -> None:
    """Write a regular file at `path`, creating its parents and replacing an existing file or symlink.

    A symlink at the end is replaced and not followed. data is the content, or a file to copy it from.
    Raises IsADirectoryError when a directory exists there.
    """
    make_dirs(tree, os.path.dirname(path) or "/")
    host = resolve(tree, path, follow_last=False)
    if os.path.isdir(host) and not os.path.islink(host):
        raise IsADirectoryError(errno.EISDIR, "a directory is in the place of the file", path)
    if os.path.lexists(host):
        os.unlink(host)
    fd = os.open(host, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        if isinstance(data, str | bytes):
            file.write(data.encode() if isinstance(data, str) else data)
        else:
            shutil.copyfileobj(data, file)
        file.flush()  # a write after fchmod would clear set-id bits in a user namespace
        os.fchown(fd, uid, gid)
        os.fchmod(fd, mode)


def copy_file(tree: str, source: str, target: str) -> None:
    """Copy the file at the host path `source`, which resolve() returned for one of the tree, to the tree's `target`.

    Raises OSError for anything but a regular file: a device node from a package may never end.
    """
    with os.fdopen(os.open(source, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", source)
        write_file(tree, target, file)


def write_symlink(tree: str, path: str, target: str) -> None:
    """Create a symlink to `target` (verbatim) at `path`, replacing a file or symlink there."""
    make_dirs(tree, os.path.dirname(path) or "/")
    host = resolve(tree, path, follow_last=False)
    if os.path.lexists(host):
        os.unlink(host)
    os.symlink(target, host)


def read_text(tree: str, path: str) -> str:
    """The text of the tree's file `path`, symlinks followed inside the tree. Raises FileNotFoundError."""
    with open(resolve(tree, path), encoding="utf-8") as file:
        return file.read()


def exists(tree: str, path: str) -> bool:
    """Whether `path` exists in the tree, symlinks followed inside the tree."""
    try:
        return os.path.lexists(resolve(tree, path))
    except OSError:
        return False


def remove(tree: str, path: str) -> None:
    """Remove the file or symlink at `path` if there is one."""
    host = resolve(tree, path, follow_last=False)
    if os.path.lexists(host):
        os.unlink(host)


PROGRAM_DIRS = ("usr/bin", "usr/sbin", "bin", "sbin")


def has_program(tree: str, name: str) -> bool:
    """Whether the tree has the program `name` in one of the usual directories."""
    return any(exists(tree, f"{directory}/{name}") for directory in PROGRAM_DIRS)


def require_program(tree: str, name: str, package: str) -> None:
    """Raise StageError unless the tree has the program `name`, which is in `package`."""
    if not has_program(tree, name):
        raise StageError(f"the tree has no `{name}`", f"install {package} in an earlier stage")


def is_symlink(tree: str, path: str) -> bool:
    """Whether `path` is a symlink, dangling or not."""
    return os.path.islink(resolve(tree, path, follow_last=False))


def is_dir(tree: str, path: str) -> bool:
    """Whether `path` is a directory, symlinks followed inside the tree."""
    return os.path.isdir(resolve(tree, path))


def list_names(tree: str, path: str) -> list[str]:
    """The sorted names in the directory `path`; [] when it does not exist."""
    host = resolve(tree, path)
    return sorted(os.listdir(host)) if os.path.isdir(host) else []


def text_or_none(tree: str, path: str) -> str | None:
    """The text of the file `path`, or None when it does not exist. Raises UnicodeDecodeError, OSError."""
    return read_text(tree, path) if os.path.isfile(resolve(tree, path)) else None
