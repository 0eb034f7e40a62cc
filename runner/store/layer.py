"""The changes of one stage as one file: an OCI layer, zstd-compressed (OCI image-spec, layer.md).

While a stage runs, its layer is an overlayfs upper directory: deleted entries are character devices 0:0, and
directories that hide what is below have an `overlay.opaque` attribute. In the archive they are the `.wh.` files of the
OCI specification, so an archive means the same to every reader, and to root and ordinary users (whose overlays use
other attributes).
"""

import contextlib
import hashlib
import itertools
import os
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from runner.errors import build_error
from runner.store import devices, files, tar_format
from runner.store.devices import Device
from runner.store.directories import Places, keeping_times, temporary_directory, walk

CHUNK = 1 << 20
# Of tar and zstd, to which the caller's variables must not give other options: TAR_OPTIONS, ZSTD_CLEVEL.
ENVIRONMENT = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}
CLOCK_REALTIME_COARSE = 5  # of linux/time.h; the module time lacks it
WHITEOUT = ".wh."
MAX_TAR_PATH = 3900  # bytes; tar(1) puts up to 30 before a path, and PATH_MAX is 4096
MAX_TAR_DEVICES = 1000
MAX_MESSAGES = 1 << 16
SMALL = 1 << 16  # bytes; the blocks of a small file may not say how large it is
ZSTD = ("zstd", "-q", "-c")
FAILED = "a layer could not be archived or unpacked"
MAX_NAME = 255  # bytes in a directory entry's name, on every file system of interest
OPAQUE = ".wh..wh..opq"
# The attributes that overlayfs itself uses: "trusted" where root mounts, "user" in a user namespace.
OVERLAY_XATTRS = ("trusted.overlay.", "user.overlay.")
SELINUX = "security.selinux"  # the label that this machine gave the file, not one of the tree


@dataclass(frozen=True)
class LayerContents:
    """The content of an upper directory: relative paths, each list sorted by bytes; size in bytes of file content."""

    entries: tuple[bytes, ...]
    whiteouts: tuple[bytes, ...]
    opaques: tuple[bytes, ...]
    size: int

    @property
    def empty(self) -> bool:
        """Whether the stage changed nothing, except perhaps the root directory itself."""
        return not self.entries and not self.whiteouts and not self.opaques


@dataclass(frozen=True)
class Archive:
    """A layer archive: the sha256 of its bytes in hexadecimal, its size in bytes, and whether tar(1) can extract it."""

    digest: str
    size: int
    by_tar: bool = True


def make_root(directory: Path) -> None:
    """Make the directory of an empty tree, or of an empty change of one."""
    directory.mkdir(mode=0o755)
    os.chown(directory, 0, 0)


def list_contents(upper: Path, *, lowest: bool) -> LayerContents:
    """The content of an overlay's upper directory.

    Sockets are removed from it, as no archive can hold them: what was there is deleted. lowest: there is no layer
    below, and so nothing to hide.
    """
    entries: list[bytes] = []
    whiteouts: list[bytes] = []
    opaques: list[bytes] = []
    size = 0
    for path, info, place in walk(upper):
        whiteout = stat.S_ISCHR(info.st_mode) and info.st_rdev == 0
        if stat.S_ISSOCK(info.st_mode) or (whiteout and lowest):
            _remove_entry(place, hide=not lowest)
            whiteout = True
        if whiteout:
            if not lowest:
                whiteouts.append(path)
            continue
        if stat.S_ISDIR(info.st_mode) and _is_opaque(place):
            opaques.append(path)
        entries.append(path)
        size += data_size(info)
    return LayerContents(tuple(entries), tuple(whiteouts), tuple(opaques), size)


def data_size(info: os.stat_result) -> int:
    """How many bytes a file needs for its content; 0 for what is no regular file."""
    if not stat.S_ISREG(info.st_mode):
        return 0
    return info.st_size if info.st_size <= SMALL else min(info.st_size, info.st_blocks * 512)


def _remove_entry(place: bytes, *, hide: bool) -> None:
    """Remove a file that is no directory, and hide what lower layers have there; the directory keeps its times."""
    with keeping_times(os.path.dirname(place)):
        os.unlink(place)
        if hide:
            os.mknod(place, stat.S_IFCHR | 0o600, os.makedev(0, 0))


def clock_ns() -> int:
    """The clock of file timestamps, in nanoseconds since 1970: some milliseconds behind time.time_ns()."""
    return time.clock_gettime_ns(CLOCK_REALTIME_COARSE)


def clamp_times(directory: Path, entries: Iterable[bytes], started_ns: int, epoch: int) -> None:
    """Set the modification times of a directory and its entries to `epoch` where they are from the stage's own run.

    started_ns is what clock_ns() returned when the stage started, and epoch is in seconds since 1970. Times that came
    with packages are older than the stage's start, or in the future, and stay. The others would make two builds differ.
    """
    now = time.time_ns()
    with Places(directory) as place:
        for path in (b"", *entries):
            at = place(path)
            if started_ns <= os.lstat(at).st_mtime_ns <= now:
                os.utime(at, (epoch, epoch), follow_symlinks=False)


def _is_opaque(path: bytes) -> bool:
    for prefix in OVERLAY_XATTRS:
        try:
            if os.getxattr(path, f"{prefix}opaque", follow_symlinks=False) == b"y":
                return True
        except OSError:
            continue
    return False


def pack(directory: Path, contents: LayerContents, target: Path, nodes: Sequence[Device] = ()) -> Archive:
    """Write the listed entries of a directory as a layer archive to `target`, which does not exist yet.

    `nodes` are the device nodes among them; placeholders of some become device nodes.
    Raises RunnerError (build) if tar or zstd fails, for instance because the disk is full.
    """
    if beyond_tar(contents, nodes):
        return _compress(lambda out: _write(out, directory, contents, nodes), target)
    with temporary_directory("layer-", target.parent) as work:
        return _compress(tar_command(directory, contents, work, nodes), target)


def _write(out: BinaryIO, directory: Path, contents: LayerContents, nodes: Sequence[Device]) -> None:
    """Write what tar_command does without tar(1)."""
    tar_format.write(
        out,
        directory,
        names=(b".", *contents.entries),
        marks=_marks(contents),
        nodes=_placeholders(directory, nodes),
        excluded=(*OVERLAY_XATTRS, SELINUX),
    )


def tar_command(directory: Path, contents: LayerContents, work: Path, nodes: Sequence[Device]) -> list[str]:
    """The command that writes the listed entries of a directory to its standard output, as an OCI layer.

    It uses files that this makes in the empty directory `work`. For `nodes` see pack.
    """
    placeholders = _placeholders(directory, nodes)
    # The root directory itself is included: a stage may change its mode.
    names = b"".join(name + b"\0" for name in (b".", *contents.entries) if name not in placeholders)
    marks = _marks(contents)
    (work / "names").write_bytes(names)
    (work / "marks").write_bytes(b"".join(mark + b"\0" for mark in marks))
    for mark in marks:
        place = os.path.join(os.fsencode(work), b"tree", mark)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb"):  # noqa: PTH123 - a bytes path
            os.utime(place, (0, 0))
    argv = ["tar", "--create", "--format=posix", "--numeric-owner", "--no-recursion", "--null"]
    argv += ["--verbatim-files-from", "--xattrs", "--xattrs-include=*", "--acls", "--sparse"]
    argv += [f"--xattrs-exclude={name}" for name in (*(f"{prefix}*" for prefix in OVERLAY_XATTRS), SELINUX)]
    argv += ["--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime"]
    argv += [f"--directory={directory}", f"--files-from={work}/names"]
    if marks:
        argv += [f"--directory={work}/tree", f"--files-from={work}/marks"]
    if placeholders:
        (work / "devices").write_bytes(tar_format.device_headers(list(placeholders.values())))
        argv = ["sh", "-c", 'cat "$0" && exec "$@"', f"{work}/devices", *argv]
    return argv


def _placeholders(directory: Path, nodes: Sequence[Device]) -> dict[bytes, Device]:
    """Those of the device nodes of which the directory has placeholders, by path."""
    with Places(directory) as place:
        return {one.path: one for one in nodes if stat.S_ISREG(os.lstat(place(one.path)).st_mode)}


def _marks(contents: LayerContents) -> list[bytes]:
    """The paths of OCI's files for what is deleted and replaced.

    There is none for a name of full length; our own readers use the layer's metadata instead.
    """
    marks = [_whiteout(path) for path in contents.whiteouts if len(os.path.basename(path)) <= MAX_NAME - len(WHITEOUT)]
    return sorted([*marks, *map(_opaque_mark, contents.opaques)])


def beyond_tar(contents: LayerContents, nodes: Sequence[Device]) -> bool:
    """Whether tar(1) would fail on these entries, or extract other ones.

    That is so for long paths, for files whose names look like whiteouts, and for very many device nodes, whose names
    are arguments.
    """
    paths = itertools.chain(contents.entries, contents.whiteouts, contents.opaques)
    looks_like_whiteout = b"/" + WHITEOUT.encode()
    return (
        any(len(path) > MAX_TAR_PATH for path in paths)
        or any(looks_like_whiteout in b"/" + path for path in contents.entries)
        or len(nodes) > MAX_TAR_DEVICES
    )


def _whiteout(path: bytes) -> bytes:
    return os.path.join(os.path.dirname(path), WHITEOUT.encode() + os.path.basename(path))


def _opaque_mark(path: bytes) -> bytes:
    return os.path.join(path, OPAQUE.encode())


def _compress(tar: Sequence[str] | Callable[[BinaryIO], None], target: Path) -> Archive:
    """Write an archive, compressed by zstd, to `target`: the output of a command, or what a function writes."""
    digest = hashlib.sha256()
    size = 0
    compress = [*ZSTD, "-1", "-T0"]
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(target.open("wb"))
        writer = None
        if callable(tar):
            processes = [_Process(stack, "zstd", compress, stdin=subprocess.PIPE, stdout=subprocess.PIPE)]
            writer = stack.enter_context(_Thread(tar, processes[0].stdin))
        else:
            archiver = _Process(stack, "tar", tar, stdout=subprocess.PIPE)
            compressor = _Process(stack, "zstd", compress, stdin=archiver.stdout, stdout=subprocess.PIPE)
            archiver.stdout.close()
            processes = [compressor, archiver]
        stack.callback(_kill, processes)
        while data := processes[0].stdout.read(CHUNK):
            digest.update(data)
            out.write(data)
            size += len(data)
        _finish(processes)
        if writer:
            writer.check()
    return Archive(digest.hexdigest(), size, by_tar=not callable(tar))


def unpack(
    archive: Path,
    key: str,
    expected: Archive,
    target: Path,
    *,
    nodes: Sequence[Device],
    whiteouts: tuple[bytes, ...],
    opaques: tuple[bytes, ...],
    opaque_xattr: str,
) -> None:
    """Unpack the layer `key` into the new directory `target`, as an overlay lower directory.

    nodes are its device nodes, and opaque_xattr is the attribute that marks opaque directories in the overlay. Raises
    CorruptLayerError if the archive's bytes are not those that were written; then `target` is useless.
    """
    target.mkdir(mode=0o755)
    extract(archive, key, expected, target, nodes=nodes, whiteouts=whiteouts, opaques=opaques)
    with Places(target) as place:
        for path in whiteouts:
            at = place(path)
            with keeping_times(os.path.dirname(at)):
                os.mknod(at, stat.S_IFCHR | 0o600, os.makedev(0, 0))
        for path in opaques:
            os.setxattr(place(path), opaque_xattr, b"y", follow_symlinks=False)


class CorruptLayerError(Exception):
    """A layer's archive is missing or does not have the bytes that were written; `key` is the layer's."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def extract(
    archive: Path,
    key: str,
    expected: Archive,
    target: Path,
    *,
    nodes: Sequence[Device],
    whiteouts: Sequence[bytes],
    opaques: Sequence[bytes],
) -> None:
    """Extract the archive of the layer `key` into an empty directory; its whiteouts and opaques are left out.

    `nodes` are its device nodes: they get placeholders.
    Raises CorruptLayerError if the bytes are not those that were written.
    """
    digest = hashlib.sha256()
    with contextlib.ExitStack() as stack:
        try:
            source = stack.enter_context(files.open_regular(archive))
        except OSError:
            raise CorruptLayerError(key) from None
        if os.fstat(source.fileno()).st_size != expected.size:
            raise CorruptLayerError(key)
        expander = _Process(stack, "zstd", [*ZSTD, "-d"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        processes, reader = [expander], None
        if expected.by_tar:
            processes.insert(0, _Process(stack, "tar", _extraction(target, nodes), stdin=expander.stdout))
            expander.stdout.close()
        else:
            skipped = {*(device.path for device in nodes), *map(_whiteout, whiteouts)}
            skipped |= set(map(_opaque_mark, opaques))
            reader = stack.enter_context(_Thread(lambda tar: tar_format.read(tar, target, skipped), expander.stdout))
        stack.callback(_kill, processes)
        try:
            with contextlib.suppress(BrokenPipeError):  # a process failed, as reported below, or the data are wrong
                while data := source.read(CHUNK):
                    digest.update(data)
                    expander.stdin.write(data)
                expander.stdin.close()
            while data := source.read(CHUNK):
                digest.update(data)
        except OSError:  # the disk cannot read it
            raise CorruptLayerError(key) from None
        if digest.hexdigest() != expected.digest:
            raise CorruptLayerError(key)
        _finish(processes)
        if reader:
            reader.check()
    try:
        devices.make_placeholders(target, nodes)
    except (FileNotFoundError, FileExistsError, NotADirectoryError, TypeError, ValueError, OverflowError):
        raise CorruptLayerError(key) from None  # the metadata are not those of the archive


def _extraction(target: Path, nodes: Sequence[Device]) -> list[str | bytes]:
    """The command line of tar(1) that extracts all but whiteouts and these device nodes."""
    argv: list[str | bytes] = ["tar", "--extract", "--preserve-permissions", "--same-owner", "--numeric-owner"]
    argv += ["--xattrs", "--xattrs-include=*", "--acls", "--delay-directory-restore", "--warning=no-timestamp"]
    argv += [f"--exclude={WHITEOUT}*"]
    if nodes:
        argv += ["--anchored", "--no-wildcards", *(b"--exclude=" + device.path for device in nodes)]
    return [*argv, f"--directory={target}", "--file=-"]


class _Process:
    """A process with its pipes; its messages go into a file, as a full pipe would stop it."""

    def __init__(
        self, stack: contextlib.ExitStack, name: str, argv: Sequence[str | bytes], stdin: Any = None, stdout: Any = None
    ) -> None:
        """When the stack is left, the pipes are closed and the process has ended."""
        self.name = name
        self._messages = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
        self._process = stack.enter_context(
            subprocess.Popen(argv, stdin=stdin, stdout=stdout, stderr=self._messages, env=ENVIRONMENT)
        )

    @property
    def stdin(self) -> BinaryIO:
        return cast(BinaryIO, self._process.stdin)

    @property
    def stdout(self) -> BinaryIO:
        return cast(BinaryIO, self._process.stdout)

    def kill(self) -> None:
        self._process.kill()

    def wait(self) -> tuple[int, list[str]]:
        """Wait for its end; returns its status and the beginning of its messages, in lines."""
        status = self._process.wait()
        self._messages.seek(0)
        return status, self._messages.read(MAX_MESSAGES).decode(errors="replace").splitlines()


class _Thread:
    """A function that writes or reads one end of a pipe in a thread, and closes it."""

    def __init__(self, function: Callable[[BinaryIO], None], pipe: BinaryIO) -> None:
        self._function, self._pipe = function, pipe
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="tar")

    def __enter__(self) -> "_Thread":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def check(self) -> None:
        """Wait for the end of the function. Raises RunnerError (build) if it failed."""
        self._thread.join()
        if self._error is not None:
            raise build_error(FAILED, details=[str(self._error)]) from None

    def _run(self) -> None:
        try:
            with self._pipe:
                self._function(self._pipe)
        except BaseException as error:
            self._error = error


def _kill(processes: Iterable[_Process]) -> None:
    """After an error nobody reads or writes their pipes any more; after success they have ended."""
    for process in processes:
        process.kill()


def _finish(processes: Sequence[_Process]) -> None:
    """Wait for processes. Raises RunnerError (build) with the output of the one that failed."""
    messages: list[str] = []
    failed = False
    for process in processes:
        status, lines = process.wait()
        if status == -signal.SIGPIPE:
            continue  # the next process failed, or stopped reading at the end of the archive, before its padding
        failed |= status != 0
        if status and not lines:
            lines = [f"ended with status {status}"]
        messages += [f"{process.name}: {line}" for line in lines]
    if failed:
        full = any("No space left" in line for line in messages)
        raise build_error(
            "no space left for the store" if full else FAILED,
            details=messages[:10],
            hint="`compose cache prune` makes room; --store chooses another place for the store" if full else "",
        )
