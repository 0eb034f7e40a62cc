"""Room for trees at work: layers unpacked as overlay directories, kept between builds, disposable at any time.

    <scratch>/<short key>/          a layer's files, complete once the name is there
    <scratch>/tmp-*/                a stage at work: upper, work, tree, var, output

It lies on tmpfs when there is memory for it: making 12,500 files takes 0.4 s there and up to 10 s on an aged disk.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from runner.errors import environment_error
from runner.store import files
from runner.store.layer import CorruptLayerError, unpack
from runner.store.store import Store

SHM = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it
GIB = 1 << 30
# A server tree is half a GiB, and its image's file system is written there once more.
MEMORY_FOR_TMPFS = 4 * GIB
KEPT_BYTES = 4 * GIB
OWNER = "store"  # the file in a scratch directory that names its store
SHORT = 16  # digits of a key in a directory's name: overlay mount options are limited to a page


class Scratch:
    """The scratch room of one store for one user."""

    def __init__(self, root: Path, store: Store) -> None:
        """Open `root`, made when missing, and sweep what killed builds left there."""
        self.root = root
        self._store = store
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            if root.is_symlink() or root.stat().st_uid != os.geteuid():
                raise environment_error(f"{root} belongs to somebody else", hint="--scratch takes another directory")
            root.chmod(0o700)
            self._use = files.open_lock(root / "lock")
        except OSError as error:
            raise environment_error(f"the scratch directory {root} cannot be used: {error.strerror}") from None
        if files.try_lock(self._use):
            self._sweep()
            (root / OWNER).write_text(str(store.root))
        fcntl.flock(self._use, fcntl.LOCK_SH)
        _remove_orphans(root)

    def close(self) -> None:
        """Let go of the room."""
        os.close(self._use)

    @contextlib.contextmanager
    def temporary(self) -> Iterator[Path]:
        """A new empty directory for work in progress, removed afterwards."""
        work = Path(tempfile.mkdtemp(prefix="tmp-", dir=self.root))
        try:
            yield work
        finally:
            files.remove_tree(work)

    def path(self, key: str) -> Path:
        """Where the layer is, or would be, unpacked."""
        return self.root / key[:SHORT]

    def ensure(self, key: str, opaque_xattr: str) -> Path:
        """The layer `key` of the store, unpacked. Raises CorruptLayerError when its archive was damaged."""
        target = self.path(key)
        if target.is_dir():
            os.utime(self._mark(key))
            return target
        info = self._store.layer(key)
        if info is None:
            raise CorruptLayerError(key)
        with self.temporary() as work:
            if info.archive is None:
                (work / "layer").mkdir(mode=0o755)
            else:
                unpack(
                    self._store.archive_path(key),
                    key,
                    info.archive,
                    work / "layer",
                    found=info.devices,
                    whiteouts=info.whiteouts,
                    opaques=info.opaques,
                    opaque_xattr=opaque_xattr,
                )
            self.keep(work / "layer", key, info.tree_size)
        return target

    def keep(self, directory: Path, key: str, size: int) -> None:
        """Move a complete unpacked layer of `size` bytes to its place; if another process was first, use its copy."""
        self._mark(key).write_text(str(size))
        try:
            directory.rename(self.path(key))
        except OSError:
            if not self.path(key).is_dir():
                raise
            files.remove_tree(directory)

    def _mark(self, key: str) -> Path:
        """A file beside the layer that holds its size; its time says when the layer was last used."""
        return self.root / f"{key[:SHORT]}.used"

    def _sweep(self) -> None:
        """Remove what killed builds left, and the least recently used layers above the bound. Nobody else is here."""
        for leftover in self.root.glob("tmp-*"):
            files.remove_tree(leftover)
        marks = sorted(self.root.glob("*.used"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        room = KEPT_BYTES
        for mark in marks:
            room -= int(mark.read_text() or 0)
            if room < 0:
                files.remove_tree(self.root / mark.stem)
                mark.unlink()


def clear_scratch(store: Store, keep: Path | None = None) -> None:
    """Remove the scratch directories in memory and beside the store that belong to this store and nobody uses.

    keep is one that stays.
    """
    for directory in (*SHM.glob("osbuild-compose-*"), store.root / "scratch"):
        try:
            if directory == keep or directory.is_symlink() or Path((directory / OWNER).read_text()) != store.root:
                continue
            lock = files.open_lock(directory / "lock")
        except OSError:
            continue  # another user's, or none
        if files.try_lock(lock):
            files.remove_tree(directory)
        os.close(lock)


def _remove_orphans(root: Path) -> None:
    """Remove this user's other scratch directories in memory whose store is gone, and that nobody uses."""
    if root.parent != SHM:
        return
    for other in SHM.glob(f"{root.name.rpartition('-')[0]}-*"):
        try:
            if other == root or other.is_symlink() or Path((other / OWNER).read_text()).exists():
                continue
            lock = files.open_lock(other / "lock")
        except OSError:
            continue
        if files.try_lock(lock):
            files.remove_tree(other)
        os.close(lock)


def default_root(store: Path, uid: int) -> Path:
    """Where scratch goes unless the user says otherwise: tmpfs if there is memory for it, else beside the store.

    uid is the user's real one, outside of any user namespace.
    """
    name = hashlib.sha256(os.fsencode(store)).hexdigest()[:8]
    place = SHM / f"osbuild-compose-{uid}-{name}"
    # What earlier builds left there is ours to use.
    if min(available_memory(), free_in_memory()) + _held(place) < MEMORY_FOR_TMPFS:
        return store / "scratch"
    return place


def _held(root: Path) -> int:
    """Bytes of the layers in a scratch directory; 0 where there is none of ours."""
    held = 0
    with contextlib.suppress(OSError):
        for mark in root.glob("*.used"):
            held += int(mark.read_text() or 0)
    return held


def available_memory() -> int:
    """Bytes of memory that programs can still have, proc_meminfo(5)."""
    meminfo = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return int(meminfo["MemAvailable"].split()[0]) << 10


def free_in_memory() -> int:
    """Bytes free on the machine's tmpfs; 0 where there is none."""
    try:
        return shutil.disk_usage(SHM).free
    except OSError:
        return 0
