"""One stage's changes as one file: an OCI layer, zstd-compressed (OCI image-spec, layer.md).

A layer at work is an overlayfs upper directory: deleted entries are character devices 0:0, and directories that hide
what is below carry an `overlay.opaque` attribute. In the archive they are the `.wh.` files of the OCI specification, so
an archive means the same to every reader, and to root and ordinary users (whose overlays use other attributes).
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

from runner.errors import build_error
from runner.store import devices
from runner.store.devices import Device

CHUNK = 1 << 20
CLOCK_REALTIME_COARSE = 5  # of linux/time.h; the module time does not name it
WHITEOUT = ".wh."
MAX_NAME = 255  # bytes in a directory entry's name, on every file system of interest
OPAQUE = ".wh..wh..opq"
# Attributes that overlayfs keeps its own notes in: "trusted" where root mounts, "user" in a user namespace.
OVERLAY_XATTRS = ("trusted.overlay.", "user.overlay.")
SELINUX = "security.selinux"  # the label that this machine gave the file, not one of the tree's


@dataclass(frozen=True)
class Survey:
    """What an upper directory holds: paths relative to it, each list sorted by bytes; size in bytes of file content."""

    entries: tuple[bytes, ...]
    whiteouts: tuple[bytes, ...]
    opaques: tuple[bytes, ...]
    size: int

    @property
    def empty(self) -> bool:
        """Whether the stage changed nothing but perhaps the root directory itself."""
        return not self.entries and not self.whiteouts and not self.opaques


@dataclass(frozen=True)
class Archive:
    """A layer archive: the sha256 of its bytes in hexadecimal and its size in bytes."""

    digest: str
    size: int


def survey(upper: Path) -> Survey:
    """List what an overlay's upper directory holds."""
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
    return Survey(tuple(entries), tuple(whiteouts), tuple(opaques), size)


def clock_ns() -> int:
    """Now, in nanoseconds since 1970, as files are stamped with it: some milliseconds behind time.time_ns()."""
    return time.clock_gettime_ns(CLOCK_REALTIME_COARSE)


def settle_times(directory: Path, entries: Iterable[bytes], started_ns: int, epoch: int) -> None:
    """Set the times of a directory and entries in it that the clock wrote since `started_ns` to `epoch`.

    started_ns is what clock_ns() was and epoch in seconds since 1970. Times that came with packages are older than the
    stage's start, or still to come, and stay; what is left of the clock would make two builds differ.
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


def pack(directory: Path, contents: Survey, target: Path, found: Sequence[Device] = ()) -> Archive:
    """Write the listed entries of a directory as a layer archive to `target`, which does not exist yet.

    `found` are the device nodes among them; files that stand for some become device nodes.
    Raises RunnerError (build) when tar or zstd fails, for instance since the disk is full.
    """
    # The root itself goes in as well: a stage may change its mode.
    top = os.fsencode(directory)
    stand_ins = {one.path: one for one in found if os.path.isfile(os.path.join(top, one.path))}
    names = b"".join(name + b"\0" for name in (b".", *contents.entries) if name not in stand_ins)
    # OCI has no mark for a name that fills a directory entry; our own readers go by the layer's metadata anyway.
    marks = [_mark(path) for path in contents.whiteouts if len(os.path.basename(path)) <= MAX_NAME - len(WHITEOUT)]
    marks += [os.path.join(path, OPAQUE.encode()) for path in contents.opaques]
    with tempfile.TemporaryDirectory(prefix="layer-", dir=target.parent) as work:
        (Path(work) / "names").write_bytes(names)
        (Path(work) / "marks").write_bytes(b"".join(mark + b"\0" for mark in sorted(marks)))
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
        if stand_ins:
            (Path(work) / "devices").write_bytes(devices.tar_headers(stand_ins.values()))
            argv = ["sh", "-c", 'cat "$0" && exec "$@"', f"{work}/devices", *argv]
        return _compress(argv, target)


def _mark(path: bytes) -> bytes:
    return os.path.join(os.path.dirname(path), WHITEOUT.encode() + os.path.basename(path))


def _compress(tar: list[str], target: Path) -> Archive:
    """Run tar into zstd into `target`, taking the digest on the way."""
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
    found: Sequence[Device],
    whiteouts: tuple[bytes, ...],
    opaques: tuple[bytes, ...],
    opaque_xattr: str,
) -> None:
    """Unpack the layer `key` into the new directory `target`, as an overlay lower directory.

    opaque_xattr is the attribute that the overlay to come looks at. Raises CorruptLayerError when the archive's
    bytes are not those that were written; what is in `target` is then of no use.
    """
    target.mkdir(mode=0o755)
    extract(archive, key, expected, target, found)
    top = os.fsencode(target)
    for path in whiteouts:
        place = os.path.join(top, path)
        times = os.stat(os.path.dirname(place))
        os.mknod(place, stat.S_IFCHR | 0o600, os.makedev(0, 0))
        os.utime(os.path.dirname(place), ns=(times.st_atime_ns, times.st_mtime_ns))
    for path in opaques:
        os.setxattr(os.path.join(top, path), opaque_xattr, b"y", follow_symlinks=False)


class CorruptLayerError(Exception):
    """A layer's archive is gone or does not have the bytes that were put there; `key` is the layer's."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def extract(archive: Path, key: str, expected: Archive, target: Path, found: Sequence[Device] = ()) -> None:
    """Put the entries of the archive of the layer `key` into a directory, replacing files; whiteouts are left out.

    `found` are its device nodes: files stand for them where none can be made.
    Raises CorruptLayerError as soon as the bytes are known not to be those that were written.
    """
    argv: list[str | bytes] = ["tar", "--extract", "--preserve-permissions", "--same-owner", "--numeric-owner"]
    argv += ["--xattrs", "--xattrs-include=*", "--acls", "--delay-directory-restore", f"--exclude={WHITEOUT}*"]
    stand_ins = () if not found or devices.can_be_made(target.parent) else found
    if stand_ins:
        argv += ["--anchored", "--no-wildcards", *(b"--exclude=" + device.path for device in stand_ins)]
    argv += [f"--directory={target}", "--file=-"]
    digest = hashlib.sha256()
    try:
        source = archive.open("rb")
    except FileNotFoundError:
        raise CorruptLayerError(key) from None
    with (
        source,
        subprocess.Popen(
            ["zstd", "-d", "-q", "-c"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as expander,
        subprocess.Popen(argv, stdin=expander.stdout, stderr=subprocess.PIPE) as extractor,
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
            pass  # one of the two failed and says why below; or the data are not what was written
        if digest.hexdigest() != expected.digest:
            while data := source.read(CHUNK):
                digest.update(data)
        if digest.hexdigest() != expected.digest:
            expander.kill()
            extractor.kill()
            raise CorruptLayerError(key)
        _finish(("tar", extractor), ("zstd", expander))
    for device in stand_ins:
        devices.put_stand_in(target, device)


def _finish(*processes: tuple[str, subprocess.Popen[bytes]]) -> None:
    """Wait for processes whose stderr is a pipe. Raises RunnerError (build) with the words of the one that failed."""
    told: list[str] = []
    failed = False
    for name, process in processes:
        assert process.stderr
        text = process.stderr.read().decode(errors="replace").strip()
        status = process.wait()
        if status == -signal.SIGPIPE:
            continue  # the next one has failed, or has seen the archive's end and left some padding
        failed |= status != 0
        if status and not text:
            text = f"ended with status {status}"
        told += [f"{name}: {line}" for line in text.splitlines()]
    if failed:
        full = any("No space left" in line for line in told)
        raise build_error(
            "no space left for the store" if full else "a layer could not be archived or unpacked",
            details=told[:10],
            hint="`compose cache prune` makes room; --store puts the store elsewhere" if full else "",
        )
