"""The changes of one stage as one file: an OCI layer, zstd-compressed (OCI image-spec, layer.md).

While a stage runs, its layer is an overlayfs upper directory: deleted entries are character devices 0:0, and
directories that hide what is below have an `overlay.opaque` attribute. In the archive they are the `.wh.` files of the
OCI specification, so an archive means the same to every reader, and to root and ordinary users (whose overlays use
other attributes).
"""

import hashlib
import os
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from runner.errors import build_error
from runner.store import devices
from runner.store.devices import Device
from runner.store.directories import temporary_directory

CHUNK = 1 << 20
CLOCK_REALTIME_COARSE = 5  # of linux/time.h; the module time lacks it
WHITEOUT = ".wh."
MAX_NAME = 255  # bytes in a directory entry's name, on every file system of interest
OPAQUE = ".wh..wh..opq"
# The attributes that overlayfs itself uses: "user" in a user namespace, where we mount, "trusted" elsewhere.
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
    """A layer archive: the sha256 of its bytes in hexadecimal and its size in bytes."""

    digest: str
    size: int


def make_root(directory: Path) -> None:
    """Make the directory of an empty tree, or of an empty change of one."""
    directory.mkdir(mode=0o755)
    os.chown(directory, 0, 0)


def list_contents(upper: Path) -> LayerContents:
    """The content of an overlay's upper directory."""
    entries: list[bytes] = []
    whiteouts: list[bytes] = []
    opaques: list[bytes] = []
    size = 0
    for path, info in walk(upper):
        if stat.S_ISCHR(info.st_mode) and info.st_rdev == 0:
            whiteouts.append(path)
            continue
        if stat.S_ISDIR(info.st_mode) and _is_opaque(os.path.join(os.fsencode(upper), path)):
            opaques.append(path)
        entries.append(path)
        size += info.st_size if stat.S_ISREG(info.st_mode) else 0
    return LayerContents(tuple(entries), tuple(whiteouts), tuple(opaques), size)


def clock_ns() -> int:
    """The clock of file timestamps, in nanoseconds since 1970: some milliseconds behind time.time_ns()."""
    return time.clock_gettime_ns(CLOCK_REALTIME_COARSE)


def clamp_times(directory: Path, entries: Iterable[bytes], started_ns: int, epoch: int) -> None:
    """Set the modification times of a directory and its entries to `epoch` where they are from the stage's own run.

    started_ns is what clock_ns() returned when the stage started, and epoch is in seconds since 1970. Times that came
    with packages are older than the stage's start, or in the future, and stay. The others would make two builds differ.
    """
    now = time.time_ns()
    top = os.fsencode(directory)
    for path in (top, *(os.path.join(top, entry) for entry in entries)):
        if started_ns <= os.lstat(path).st_mtime_ns <= now:
            os.utime(path, (epoch, epoch), follow_symlinks=False)


def walk(directory: Path) -> Iterator[tuple[bytes, os.stat_result]]:
    """Every entry below a directory with its lstat, by relative path: parents first, names in byte order."""
    top = os.fsencode(directory)
    todo = [top]
    while todo:
        at = todo.pop()
        with os.scandir(at) as scan:
            found = sorted(scan, key=lambda entry: entry.name)
        below = []
        for entry in found:
            info = entry.stat(follow_symlinks=False)
            yield entry.path[len(top) + 1 :], info
            if stat.S_ISDIR(info.st_mode):
                below.append(entry.path)
        todo.extend(reversed(below))


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
    with temporary_directory("layer-", target.parent) as work:
        return _compress(tar_command(directory, contents, work, nodes), target)


def tar_command(directory: Path, contents: LayerContents, work: Path, nodes: Sequence[Device]) -> list[str]:
    """The command that writes the listed entries of a directory to its standard output, as an OCI layer.

    It uses files that this makes in the empty directory `work`. For `nodes` see pack.
    """
    # The root directory itself is included: a stage may change its mode.
    top = os.fsencode(directory)
    placeholders = {one.path: one for one in nodes if os.path.isfile(os.path.join(top, one.path))}
    names = b"".join(name + b"\0" for name in (b".", *contents.entries) if name not in placeholders)
    # OCI has no whiteout for a name of full length; our own readers use the layer's metadata instead of whiteouts.
    marks = [_whiteout(path) for path in contents.whiteouts if len(os.path.basename(path)) <= MAX_NAME - len(WHITEOUT)]
    marks += [os.path.join(path, OPAQUE.encode()) for path in contents.opaques]
    (work / "names").write_bytes(names)
    (work / "marks").write_bytes(b"".join(mark + b"\0" for mark in sorted(marks)))
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
        (work / "devices").write_bytes(devices.tar_headers(placeholders.values()))
        argv = ["sh", "-c", 'cat "$0" && exec "$@"', f"{work}/devices", *argv]
    return argv


def _whiteout(path: bytes) -> bytes:
    return os.path.join(os.path.dirname(path), WHITEOUT.encode() + os.path.basename(path))


def _compress(tar: list[str], target: Path) -> Archive:
    """Write the output of tar, compressed by zstd, to `target`; returns its digest and size."""
    digest = hashlib.sha256()
    size = 0
    with (
        target.open("wb") as out,
        subprocess.Popen(tar, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as archiver,
        subprocess.Popen(
            ["zstd", "-1", "-T0", "-q", "-c"], stdin=archiver.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as compressor,
    ):
        assert archiver.stdout
        assert compressor.stdout
        archiver.stdout.close()
        while data := compressor.stdout.read(CHUNK):
            digest.update(data)
            out.write(data)
            size += len(data)
        _finish(("zstd", compressor), ("tar", archiver))
    return Archive(digest.hexdigest(), size)


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
    extract(archive, key, expected, target, nodes)
    top = os.fsencode(target)
    for path in whiteouts:
        place = os.path.join(top, path)
        times = os.stat(os.path.dirname(place))
        os.mknod(place, stat.S_IFCHR | 0o600, os.makedev(0, 0))
        os.utime(os.path.dirname(place), ns=(times.st_atime_ns, times.st_mtime_ns))
    for path in opaques:
        os.setxattr(os.path.join(top, path), opaque_xattr, b"y", follow_symlinks=False)


class CorruptLayerError(Exception):
    """A layer's archive is missing or does not have the bytes that were written; `key` is the layer's."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def extract(archive: Path, key: str, expected: Archive, target: Path, nodes: Sequence[Device] = ()) -> None:
    """Extract the archive of the layer `key` into a directory, replacing files; whiteouts are left out.

    `nodes` are its device nodes: they get placeholders.
    Raises CorruptLayerError if the bytes are not those that were written.
    """
    argv = ["tar", "--extract", "--preserve-permissions", "--same-owner", "--numeric-owner"]
    argv += ["--xattrs", "--xattrs-include=*", "--acls", "--delay-directory-restore", f"--exclude={WHITEOUT}*"]
    digest = hashlib.sha256()
    try:
        source = archive.open("rb")
    except FileNotFoundError:
        raise CorruptLayerError(key) from None
    with (
        source,
        tempfile.NamedTemporaryFile(dir=target.parent) as excluded,
        subprocess.Popen(
            ["zstd", "-d", "-q", "-c"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as expander,
        subprocess.Popen(
            [*argv, *_excluding((device.path for device in nodes), excluded), f"--directory={target}", "--file=-"],
            stdin=expander.stdout,
            stderr=subprocess.PIPE,
        ) as extractor,
    ):
        assert expander.stdin
        assert expander.stdout
        expander.stdout.close()
        try:
            while data := source.read(CHUNK):
                digest.update(data)
                expander.stdin.write(data)
            expander.stdin.close()
        except BrokenPipeError:
            pass  # one of the two failed, which is reported below, or the data are not what was written
        if digest.hexdigest() != expected.digest:
            while data := source.read(CHUNK):
                digest.update(data)
        if digest.hexdigest() != expected.digest:
            expander.kill()
            extractor.kill()
            raise CorruptLayerError(key)
        _finish(("tar", extractor), ("zstd", expander))
    for device in nodes:
        try:
            devices.make_placeholder(target, device)
        except (FileNotFoundError, FileExistsError, NotADirectoryError, TypeError, ValueError, OverflowError):
            raise CorruptLayerError(key) from None  # the metadata are not those of the archive


def _excluding(paths: Iterable[bytes], listing: IO[bytes]) -> list[str | bytes]:
    """Options of tar that leave out the `paths`, of which most go into the file `listing`: there may be many.

    tar reads names there line by line, without space at their ends.
    """
    options: list[str | bytes] = ["--anchored", "--no-wildcards", f"--exclude-from={listing.name}"]
    for path in paths:
        if b"\n" in path or path != path.strip():
            options.append(b"--exclude=" + path)
        else:
            listing.write(path + b"\n")
    listing.flush()
    return options


def _finish(*processes: tuple[str, subprocess.Popen[bytes]]) -> None:
    """Wait for processes whose stderr is a pipe. Raises RunnerError (build) with the output of the one that failed."""
    messages: list[str] = []
    failed = False
    for name, process in processes:
        assert process.stderr
        text = process.stderr.read().decode(errors="replace").strip()
        status = process.wait()
        if status == -signal.SIGPIPE:
            continue  # the next process failed, or stopped reading at the end of the archive, before its padding
        failed |= status != 0
        if status and not text:
            text = f"ended with status {status}"
        messages += [f"{name}: {line}" for line in text.splitlines()]
    if failed:
        full = any("No space left" in line for line in messages)
        raise build_error(
            "no space left for the store" if full else "a layer could not be archived or unpacked",
            details=messages[:10],
            hint="`compose cache prune` makes room; --store chooses another place for the store" if full else "",
        )
