"""The scratch directory: layers unpacked as overlay directories, kept between builds and disposable at any time.

    <scratch>/<short key>/          a layer's files, complete once the name exists
    <scratch>/tmp-*/                a running stage: upper, work, tree, var, output

It is on tmpfs if there is memory for it: making 12,500 files takes 0.4 s there and up to 10 s on an aged disk.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from runner.errors import environment_error
from runner.store import directories, files
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
    """The scratch directory of one store and one user."""

    def __init__(self, root: Path, store: Store) -> None:
        """Open `root`, which is created if it is missing, and remove what killed builds left there."""
        self.root = root
        self._store = store
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            if root.is_symlink() or root.stat().st_uid != os.geteuid():
                raise environment_error(f"{root} belongs to another user", hint="--scratch takes another directory")
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
        """Close the scratch directory."""
        os.close(self._use)

    @contextlib.contextmanager
    def temporary(self) -> Iterator[Path]:
        """A new empty directory, removed afterwards."""
        with directories.temporary_directory("tmp-", self.root) as work:
            yield work

    def path(self, key: str) -> Path:
        """Where the layer is unpacked, or would be."""
        return self.root / key[:SHORT]

    def ensure(self, key: str, opaque_xattr: str) -> Path:
        """The layer `key` of the store, unpacked if it was not. Raises CorruptLayerError if its archive is damaged."""
        target = self.path(key)
        if target.is_dir():
            os.utime(self._marker(key))
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
                    nodes=info.devices,
                    whiteouts=info.whiteouts,
                    opaques=info.opaques,
                    opaque_xattr=opaque_xattr,
                )
            self.keep(work / "layer", key, info.tree_size)
        return target

    def keep(self, directory: Path, key: str, size: int) -> None:
        """Move a complete layer of `size` bytes to its place; if another process was first, use that one's."""
        self._marker(key).write_text(str(size))
        try:
            directory.rename(self.path(key))
        except OSError:
            if not self.path(key).is_dir():
                raise
            directories.remove_tree(directory)

    def _marker(self, key: str) -> Path:
        """A file next to the layer that contains its size; its time is when the layer was last used."""
        return self.root / f"{key[:SHORT]}.used"

    def _sweep(self) -> None:
        """Remove what killed builds left, and the least recently used layers beyond KEPT_BYTES."""
        for leftover in self.root.glob("tmp-*"):
            directories.remove_tree(leftover)
        markers = sorted(self.root.glob("*.used"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        left = KEPT_BYTES
        for marker in markers:
            left -= int(marker.read_text() or 0)
            if left < 0:
                directories.remove_tree(self.root / marker.stem)
                marker.unlink()


def clear_scratch(store: Store, keep: Path | None = None) -> None:
    """Remove this store's scratch directories, in memory and in the store, unless they are in use.

    keep is one that stays.
    """
    for directory in (*SHM.glob("osbuild-compose-*"), store.root / "scratch"):
        try:
            if directory == keep or directory.is_symlink() or Path((directory / OWNER).read_text()) != store.root:
                continue
            lock = files.open_lock(directory / "lock")
        except OSError:
            continue  # another user's, or no scratch directory
        if files.try_lock(lock):
            directories.remove_tree(directory)
        os.close(lock)


def _remove_orphans(root: Path) -> None:
    """Remove this user's other scratch directories in memory whose store is gone, unless they are in use."""
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
            directories.remove_tree(other)
        os.close(lock)


def default_root(store: Path, uid: int) -> Path:
    """The default scratch directory: on tmpfs if there is memory for it, else in the store.

    uid is the user's real one, outside of any user namespace.
    """
    name = hashlib.sha256(os.fsencode(store)).hexdigest()[:8]
    place = SHM / f"osbuild-compose-{uid}-{name}"
    # Memory that the layers of earlier builds occupy there counts as free: this build uses or replaces them.
    if min(available_memory(), free_in_memory()) + _size_of(place) < MEMORY_FOR_TMPFS:
        return store / "scratch"
    return place


def _size_of(root: Path) -> int:
    """Bytes of the layers in a scratch directory; 0 if there is none that we can read."""
    size = 0
    with contextlib.suppress(OSError):
        for marker in root.glob("*.used"):
            size += int(marker.read_text() or 0)
    return size


def available_memory() -> int:
    """Bytes of memory that programs can still use, proc_meminfo(5)."""
    meminfo = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    return int(meminfo["MemAvailable"].split()[0]) << 10


def free_in_memory() -> int:
    """Bytes free on the machine's tmpfs; 0 if there is none."""
    try:
        return shutil.disk_usage(SHM).free
    except OSError:
        return 0
