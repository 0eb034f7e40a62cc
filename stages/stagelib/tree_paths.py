"""Read and write files inside a tree that may be hostile.

Whatever a package's script can write, this module takes for a trap. A path of the tree is followed as the booted system
would follow it: absolute symlinks and ".." start and end at the tree's root, never at the host's, for which the kernel
itself answers (openat2 with RESOLVE_IN_ROOT, beneath the tree's descriptor). Only regular files are read and written,
up to a size, without waiting: never a FIFO, a socket or a device.

Errors are OSError with the tree's path as their filename, which api.run_stage() prints.
"""

import errno
import fnmatch
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from stagelib import openat2
from stagelib.errors import StageError

MAX_SYMLINKS = 40  # the kernel's own limit, path_resolution(7)
MAX_TEXT = 64 << 20  # bytes: far more than any file that a stage reads as text
MAX_COPY = 4 << 30  # bytes of other files that are read: kernels, initramfs, boot loaders, databases
COPIED = 1 << 20  # bytes at a time

READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
NOTHING_THERE = (FileNotFoundError, NotADirectoryError)


@contextmanager
def opened(tree: str, path: str, flags: int, *, mode: int = 0) -> Iterator[int]:
    """A descriptor of the tree's `path` inside the block, opened with the flags of open(2).

    Raises OSError, also for errors in the block, with the tree's path.
    """
    _require_path(path)
    with _blamed(path), _root(tree) as root:
        fd = openat2.openat2(root, path.lstrip("/") or ".", flags, openat2.IN_ROOT, mode=mode)
        try:
            yield fd
        finally:
            os.close(fd)


@contextmanager
def parent(tree: str, path: str) -> Iterator[tuple[int, str]]:
    """A descriptor of the directory of the tree's `path`, and the last component's name, which is not followed."""
    above, _, name = path.rstrip("/").rpartition("/")
    if name in ("", ".", ".."):
        raise OSError(errno.EINVAL, "not the name of a file", path)
    with opened(tree, above, os.O_PATH | os.O_DIRECTORY) as fd, _blamed(path):
        yield fd, name


def _require_path(path: str) -> None:
    """A path may come from a file of the tree, such as etc/passwd."""
    if "\0" in path:
        raise OSError(errno.EINVAL, "a path with a NUL", path.replace("\0", "?"))


@contextmanager
def _root(tree: str) -> Iterator[int]:
    fd = os.open(tree, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _blamed(path: str) -> Iterator[None]:
    """Errors inside the block name this path of the tree."""
    try:
        yield
    except OSError as error:
        if not isinstance(error.filename, str) or not error.filename.startswith("/"):
            error.filename, error.filename2 = f"/{path.lstrip('/')}", None
        raise


def lookup(tree: str, path: str, *, follow_last: bool = True) -> os.stat_result | None:
    """The status of the tree's `path`, None when it does not exist. Raises OSError (ELOOP)."""
    try:
        with opened(tree, path, os.O_PATH | (0 if follow_last else os.O_NOFOLLOW)) as fd:
            return os.fstat(fd)
    except NOTHING_THERE:
        return None


def resolve(tree: str, path: str, *, follow_last: bool = True) -> str:
    """The host path of the tree's `path`, with every symlink followed inside the tree.

    For messages, comparisons and the command lines of programs; files are opened by the functions below. The last
    component need not exist; with follow_last=False it is not followed when it is a symlink.
    Raises OSError (ELOOP) on more than 40 symlinks and (ENOTDIR) when a component in the middle is a file.
    """
    found = inside(tree, path, follow_last=follow_last)
    return os.path.join(tree, found) if found else tree


def inside(tree: str, path: str, *, follow_last: bool = True) -> str:
    """As resolve(), but the tree's own path, without a slash in front: "" is the root."""
    _require_path(path)
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
    return "/".join(done)


# -- files -------------------------------------------------------------------------------------------------------------


@contextmanager
def open_file(tree: str, path: str, *, limit: int = MAX_COPY) -> Iterator[BinaryIO]:
    """The tree's regular file `path`, to read. Raises OSError for anything else, or if it has over `limit` bytes."""
    with opened(tree, path, READ) as fd:
        if _require_regular(fd).st_size > limit:
            raise OSError(errno.EFBIG, f"the file has more than {limit} bytes")
        with os.fdopen(fd, "rb", closefd=False) as file:
            yield file


def _require_regular(fd: int) -> os.stat_result:
    info = os.fstat(fd)
    if stat.S_ISDIR(info.st_mode):
        raise IsADirectoryError(errno.EISDIR, "a directory is in the place of the file")
    if not stat.S_ISREG(info.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")
    return info


def read_bytes(tree: str, path: str, *, limit: int = MAX_TEXT) -> bytes:
    """The content of the tree's file `path`, symlinks followed inside the tree.

    Raises FileNotFoundError, and OSError for more than `limit` bytes and for anything but a regular file.
    """
    with open_file(tree, path, limit=limit) as file:
        return file.read(limit)


def read_text(tree: str, path: str, *, errors: str = "strict", limit: int = MAX_TEXT) -> str:
    """The text of the tree's file `path`, as read_bytes() reads it. Raises UnicodeDecodeError, too."""
    text = read_bytes(tree, path, limit=limit).decode("utf-8", errors)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def text_or_none(tree: str, path: str, *, errors: str = "strict", limit: int = MAX_TEXT) -> str | None:
    """The text of the file `path`, or None when it does not exist or is a directory. Raises as read_text() does."""
    try:
        return read_text(tree, path, errors=errors, limit=limit)
    except (FileNotFoundError, IsADirectoryError):
        return None


def write_file(
    tree: str,
    path: str,
    data: str | bytes | BinaryIO,
    *,
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    mtime: int | None = None,
) -> None:
    """Write a regular file at `path`, creating its parents and replacing an existing file or symlink.

    A symlink at the end is replaced and not followed. data is the content, or a file to copy it from; mtime: the time
    of modification, seconds since 1970, if it is not the present.
    Raises IsADirectoryError when a directory exists there.
    """
    _make_parent(tree, path)
    with parent(tree, path) as (directory, name):
        _make_room(directory, name)
        fd = os.open(name, CREATE | os.O_CLOEXEC, 0o600, dir_fd=directory)
        with os.fdopen(fd, "wb") as file:
            if isinstance(data, str | bytes):
                file.write(data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data)
            else:
                shutil.copyfileobj(data, file, COPIED)
            file.flush()  # a write after fchmod would clear set-id bits in a user namespace
            os.fchown(fd, uid, gid)
            os.fchmod(fd, mode)
            if mtime is not None:
                os.utime(fd, (mtime, mtime))


def _make_parent(tree: str, path: str) -> None:
    try:
        make_dirs(tree, os.path.dirname(path) or "/")
    except FileExistsError:
        where = f"/{path.lstrip('/')}"
        raise NotADirectoryError(errno.ENOTDIR, "a file is in the place of a directory", where) from None


def _make_room(directory: int, name: str) -> None:
    try:
        mode = os.lstat(name, dir_fd=directory).st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "a directory is in the place of the file")
    os.unlink(name, dir_fd=directory)


def append(tree: str, path: str, text: str) -> None:
    """Append to the file `path`, which need not exist; a symlink is followed inside the tree."""
    before = lookup(tree, path)
    if before is None:
        write_file(tree, inside(tree, path), text)
        return
    with opened(tree, path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY) as fd:
        _require_regular(fd)
        with os.fdopen(fd, "ab", closefd=False) as file:
            file.write(text.encode("utf-8", "surrogateescape"))


def empty(tree: str, path: str) -> None:
    """Remove the content of the regular file `path` if there is one; a symlink is followed inside the tree."""
    if lookup(tree, path) is not None:
        with opened(tree, path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY) as fd:
            _require_regular(fd)
            os.ftruncate(fd, 0)


def copy_file(tree: str, source: str, target: str, *, root: str | None = None) -> None:
    """Copy the regular file `source` of the tree, or of another `root`, to the tree's `target`."""
    with open_file(root or tree, source) as file:
        write_file(tree, target, file)


def copy_out(tree: str, path: str, target: str, *, limit: int = MAX_COPY) -> None:
    """Copy the tree's regular file `path`, of at most `limit` bytes, to the new file `target` of this machine."""
    with open_file(tree, path, limit=limit) as source, open(target, "xb") as file:
        shutil.copyfileobj(source, file, COPIED)


def write_symlink(tree: str, path: str, target: str) -> None:
    """Create a symlink to `target` (verbatim) at `path`, replacing a file or symlink there."""
    _make_parent(tree, path)
    with parent(tree, path) as (directory, name):
        _make_room(directory, name)
        os.symlink(target, name, dir_fd=directory)


def remove(tree: str, path: str) -> None:
    """Remove the file or symlink at `path` if there is one."""
    try:
        with parent(tree, path) as (directory, name):
            os.unlink(name, dir_fd=directory)
    except NOTHING_THERE:
        pass


# -- directories -------------------------------------------------------------------------------------------------------


def make_dirs(tree: str, path: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> None:
    """Create the directory `path` and its missing parents.

    mode and owner are for every directory that is created; existing ones are not changed.
    Raises FileExistsError when something other than a directory exists there.
    """
    here = ""
    for name in filter(None, inside(tree, path).split("/")):
        above, here = here, f"{here}/{name}"
        with opened(tree, above, os.O_PATH | os.O_DIRECTORY) as fd, _blamed(path):
            try:
                os.mkdir(name, 0o700, dir_fd=fd)
            except FileExistsError:
                if not stat.S_ISDIR(os.lstat(name, dir_fd=fd).st_mode):
                    raise FileExistsError(errno.EEXIST, "not a directory") from None
                continue
            os.chown(name, uid, gid, dir_fd=fd, follow_symlinks=False)
            os.chmod(name, mode, dir_fd=fd)


def change(tree: str, path: str, *, mode: int | None = None, uid: int = -1, gid: int = -1) -> None:
    """Change the mode and the owners of a directory or regular file; None and -1 keep what is there."""
    with opened(tree, path, READ) as fd:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            _require_regular(fd)
        os.fchown(fd, uid, gid)
        if mode is not None:
            os.fchmod(fd, mode)


def remove_if_empty(tree: str, path: str) -> None:
    """Remove the directory `path` when it exists and is empty."""
    if lookup(tree, path, follow_last=False) is not None and is_dir(tree, path) and not list_names(tree, path):
        with parent(tree, inside(tree, path)) as (directory, name):
            os.rmdir(name, dir_fd=directory)


def list_names(tree: str, path: str) -> list[str]:
    """The sorted names in the directory `path`; [] when it does not exist or is no directory."""
    try:
        with opened(tree, path, DIRECTORY) as fd:
            return sorted(os.listdir(fd))
    except NOTHING_THERE:
        return []


def matching(tree: str, pattern: str) -> list[str]:
    """The tree's paths that match the pattern, sorted: each of its components may have fnmatch's wildcards."""
    found = [""]
    for part in pattern.strip("/").split("/"):
        found = [f"{above}/{name}" for above in found for name in fnmatch.filter(list_names(tree, above), part)]
    return found


# -- questions ---------------------------------------------------------------------------------------------------------


def exists(tree: str, path: str) -> bool:
    """Whether `path` exists in the tree, symlinks followed inside the tree."""
    try:
        return lookup(tree, path) is not None
    except OSError:
        return False


def is_file(tree: str, path: str) -> bool:
    """Whether `path` is a regular file, symlinks followed inside the tree. Raises OSError (ELOOP)."""
    info = lookup(tree, path)
    return info is not None and stat.S_ISREG(info.st_mode)


def is_dir(tree: str, path: str) -> bool:
    """Whether `path` is a directory, symlinks followed inside the tree. Raises OSError (ELOOP)."""
    info = lookup(tree, path)
    return info is not None and stat.S_ISDIR(info.st_mode)


def is_symlink(tree: str, path: str) -> bool:
    """Whether `path` is a symlink, dangling or not."""
    info = lookup(tree, path, follow_last=False)
    return info is not None and stat.S_ISLNK(info.st_mode)


PROGRAM_DIRS = ("usr/bin", "usr/sbin", "bin", "sbin")


def has_program(tree: str, name: str) -> bool:
    """Whether the tree has the program `name` in one of the usual directories."""
    return any(exists(tree, f"{directory}/{name}") for directory in PROGRAM_DIRS)


def require_program(tree: str, name: str, package: str) -> None:
    """Raise StageError unless the tree has the program `name`, which is in `package`."""
    if not has_program(tree, name):
        raise StageError(f"the tree has no `{name}`", f"add {package} to `packages`")
