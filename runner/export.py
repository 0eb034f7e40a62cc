"""Exports results to the output directory: the files that assemblers made, and trees.

Where the run has namespaces of its own, all of this happens in a process that was started before and has the caller's
rights, outside.py. What is exported has the permissions that the caller's umask leaves.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from runner.build import Build, RunSettings
from runner.errors import build_error, input_error
from runner.store import devices, directories
from runner.store.layer import ENVIRONMENT, CorruptLayerError, LayerContents, tar_command
from runner.store.store import Store
from runner.tree import Trees

FICLONE = 0x40049409  # ioctl_ficlone(2); the module fcntl lacks it
CHUNK = 1 << 26
_NO_COPY_IN_KERNEL = (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EBADF)

# Exports an output from the store to a directory, as export_output does.
ExportOutput = Callable[[Path, Path, int], list[Path]]
# Unpacks a tar archive from a descriptor, which it closes, as unpack_tree does.
UnpackTree = Callable[[int, Path], None]


class OutputDirectory:
    """The directory that outputs are exported to; two files of one name are refused."""

    def __init__(self, settings: RunSettings, export: ExportOutput) -> None:
        """The directory in the settings is made when it is missing. export is export_output, or does the same."""
        self._settings = settings
        self._export = export
        self._exported: dict[str, str] = {}  # names of files, and the keys of the outputs that they are from

    def add(self, build: Build, store: Store) -> None:
        """Export the outputs of a build's targets. Raises RunnerError (build)."""
        directory = self._settings.output_directory
        if directory is None:
            return
        for key in [target.assembler.key for target in build.targets if target.assembler]:
            for name in store.output_names(key):
                if self._exported.setdefault(name, key) != key:
                    raise build_error(
                        f"two of the pipelines make {name}", hint="give them different names, or build them apart"
                    )
            exported = self._export(store.outputs / key, directory, self._settings.umask)
            build.files += exported
            checksums = store.checksums(key)
            build.checksums |= {path: checksums[path.name] for path in exported if path.name in checksums}
            store.exported(key)


def export_output(output: Path, directory: Path, umask: int) -> list[Path]:
    """Put an output's files and directories into `directory`, each atomically; returns their paths.

    Files are hard links where possible, otherwise sparse copies. Raises RunnerError (build) if the directory can't be
    written.
    """
    before = os.umask(umask)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return [_export(entry, directory, umask) for entry in sorted(output.iterdir())]
    except OSError as error:
        raise build_error(f"{directory} could not be written: {error.strerror or error}") from None
    finally:
        os.umask(before)


def _export(source: Path, directory: Path, umask: int) -> Path:
    target = directory / source.name
    is_directory = stat.S_ISDIR(source.lstat().st_mode)
    if not is_directory and os.path.lexists(target) and os.path.samestat(target.lstat(), source.lstat()):
        return target
    with _held_directory(target.parent) as (work, _):
        fresh = work / "fresh"
        if not is_directory:
            _hand_over(source, fresh, umask, target)
        else:
            _hand_over_directory(source, fresh, umask, target)
            _move_aside(target, work)
        fresh.replace(target)
    return target


@contextlib.contextmanager
def _held_directory(parent: Path) -> Iterator[tuple[Path, int]]:
    """A new directory for what is not complete yet, by a path that stays right and by its descriptor.

    If `parent` is another user's, that user can put something else in its place, but not behind the descriptor.
    """
    with directories.temporary_directory(".compose-", parent) as place:
        fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(fd).st_uid != os.geteuid():
                raise build_error(f"{place} was replaced by somebody else while it was used")
            yield Path(f"/proc/self/fd/{fd}"), fd
        finally:
            os.close(fd)


def _move_aside(target: Path, work: Path) -> None:
    """Make room for a new directory at `target`; the old one is removed with `work`."""
    with contextlib.suppress(FileNotFoundError):
        target.rename(work / "old")


def _hand_over_directory(source: Path, fresh: Path, umask: int, target: Path) -> None:
    fresh.mkdir()
    for entry in sorted(source.iterdir()):
        if stat.S_ISDIR(entry.lstat().st_mode):
            _hand_over_directory(entry, fresh / entry.name, umask, target)
        else:
            _hand_over(entry, fresh / entry.name, umask, target)
    times = source.stat()
    os.utime(fresh, ns=(times.st_atime_ns, times.st_mtime_ns))


def _hand_over(source: Path, fresh: Path, umask: int, target: Path) -> None:
    """Make `fresh` the same file as `source`, or a copy where that is not possible."""
    fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode):
            raise build_error(f"{source} is no regular file", hint="compose cache clear")
        mode = (0o777 if info.st_mode & stat.S_IXUSR else 0o666) & ~umask
        if info.st_nlink == 1:  # nowhere but in the store: an exported file keeps the permissions that it was given
            os.fchmod(fd, mode)
        if stat.S_IMODE(os.fstat(fd).st_mode) == mode:
            with contextlib.suppress(OSError):
                os.link(source, fresh, follow_symlinks=False)
                return
        _copy(fd, fresh, mode, target)
    finally:
        os.close(fd)


def _copy(source: int, fresh: Path, mode: int, target: Path) -> None:
    info = os.fstat(source)
    free = shutil.disk_usage(fresh.parent).free
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        _copy_data(source, fd, info.st_size)
        os.fchmod(fd, mode)
        os.utime(fd, ns=(info.st_atime_ns, info.st_mtime_ns))
    except OSError as error:
        raise build_error(
            f"{target.name} could not be copied to {target.parent}",
            details=[error.strerror or str(error)],
            hint=f"it has {info.st_blocks >> 11} MiB, and {free >> 20} MiB were free there; "
            "a directory on the store's file system needs no copy",
        ) from None
    finally:
        os.close(fd)


def _copy_data(source: int, target: int, size: int) -> None:
    """Copy a file's data: as a reference to it where the file system can, otherwise without what is a hole."""
    with contextlib.suppress(OSError):
        fcntl.ioctl(target, FICLONE, source)
        return
    os.ftruncate(target, size)
    at = 0
    while at < size:
        try:
            at = os.lseek(source, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole is left
                return
            raise
        end = os.lseek(source, at, os.SEEK_HOLE)
        while at < end:
            at += _copy_some(source, target, at, min(CHUNK, end - at))


def _copy_some(source: int, target: int, at: int, count: int) -> int:
    """Copy up to `count` bytes at the offset `at`; returns how many, at least 1. Raises OSError."""
    try:
        if done := os.copy_file_range(source, target, count, at, at):
            return done
    except OSError as error:
        if error.errno not in _NO_COPY_IN_KERNEL:
            raise
    data = os.pread(source, min(count, 1 << 20), at)
    if not data:
        raise OSError(errno.EIO, "the file became shorter while it was copied")
    return os.pwrite(target, data, at)


def export_trees(
    builds: Sequence[Build], settings: RunSettings, store: Store, trees: Trees, unpack: UnpackTree, *, user: bool
) -> None:
    """Copy the trees that --export names, each to a directory named after its id.

    unpack is unpack_tree in a process that may own any file. user: the run is an ordinary user's, who cannot own a
    tree's files. Raises RunnerError.
    """
    for wanted in settings.exports:
        found = _find(builds, wanted)
        if found is None or settings.output_directory is None:
            continue
        if user:
            raise input_error(
                "--export: an ordinary user cannot own a tree's files",
                hint="the assembler org.osbuild.tar makes an archive of a tree",
            )
        build, stack = found
        if build.error is None:
            build.files.append(_copy_out(store, trees, stack, settings.output_directory / wanted, unpack))


def _find(builds: Sequence[Build], wanted: str) -> tuple[Build, tuple[str, ...]] | None:
    """The first build with a stage of this id, and the layers of the tree after it; None where it is an output's id."""
    for build in builds:
        for pipeline in build.pipelines:
            for number, step in enumerate(pipeline.stages, 1):
                if step.call.id == wanted:
                    return build, pipeline.stack[: len(pipeline.base) + number]
    return None


def _copy_out(store: Store, trees: Trees, stack: tuple[str, ...], target: Path, unpack: UnpackTree) -> Path:
    try:
        with trees.reading(stack) as tree:
            _copy_tree(store, tree, target, unpack)
    except CorruptLayerError as damaged:
        store.drop_layer(damaged.key)
        raise build_error(
            f"a layer of the tree {target.name} was damaged; it was removed from the store",
            hint="the same command makes it again",
        ) from None
    return target


def _copy_tree(store: Store, tree: Path, target: Path, unpack: UnpackTree) -> None:
    """Copy a tree as a tar archive, in which its owners are numbers as the tree has them."""
    entries = tuple(entry.path for entry in directories.walk(tree))
    nodes = devices.find(tree, entries)
    work = store.temporary()
    try:
        argv = tar_command(tree, LayerContents(entries, (), (), 0), work, nodes)
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT) as making:
            assert making.stdout
            assert making.stderr
            unpack(os.dup(making.stdout.fileno()), target)
            making.stdout.close()
            log = making.stderr.read().decode(errors="replace")
        if making.returncode != 0:
            raise build_error(f"the tree could not be copied to {target}", details=log.splitlines()[-5:])
    finally:
        directories.remove_tree(work)


def unpack_tree(archive: int, target: Path) -> None:
    """Unpack the tar archive that comes from a descriptor, which is closed, as the new directory `target`.

    Raises RunnerError (build); then an older `target` is still there.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _held_directory(target.parent) as (work, fd):
            (work / "fresh").mkdir(mode=0o700)
            argv = ["tar", "--extract", "--preserve-permissions", "--same-owner", "--numeric-owner", "--xattrs"]
            argv += ["--xattrs-include=*", "--acls", "--delay-directory-restore", f"--directory={work}/fresh"]
            argv += ["--file=-"]
            done = subprocess.run(
                argv, stdin=archive, stderr=subprocess.PIPE, check=False, env=ENVIRONMENT, pass_fds=[fd]
            )
            if done.returncode != 0:
                log = done.stderr.decode(errors="replace").splitlines()
                raise build_error(f"the tree could not be copied to {target}", details=log[-5:])
            _move_aside(target, work)
            (work / "fresh").replace(target)
    except OSError as error:
        raise build_error(f"{target} could not be written: {error.strerror or error}") from None
    finally:
        os.close(archive)
