"""The scratch directory: layers unpacked as overlay directories, kept between builds and disposable at any time.

    <scratch>/<short key>/          a layer's files, complete once the name exists
    <scratch>/tmp-*/                a running stage: upper, work, tree, var, output

It is on tmpfs if there is memory for it: making 12,500 files takes 0.4 s there and up to 10 s on an aged disk.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from runner.errors import environment_error, input_error
from runner.store import directories, files, locks
from runner.store.layer import CorruptLayerError, make_root, unpack
from runner.store.scratch_place import GIB, LOCK, OWNER, remove_orphans
from runner.store.store import Store

KEPT_BYTES = 4 * GIB
IDS = "ids"  # the file in a scratch directory that names the ids of its layers' files
SHORT = 16  # digits of a key in a directory's name: overlay mount options are limited to a page


class Scratch:
    """The scratch directory of one store and one user."""

    def __init__(self, root: Path, store: Store, ids: str) -> None:
        """Open `root`, which is created if it is missing, and remove what killed builds left there.

        ids names the machine's ids that the files of trees belong to; layers that belong to others are removed.
        """
        self.root = root
        self._store = store
        try:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
            if root.is_symlink() or root.stat().st_uid != os.geteuid():
                raise environment_error(f"{root} belongs to another user", hint="--scratch takes another directory")
            if (names := set(os.listdir(root)) - {LOCK}) and OWNER not in names:
                raise input_error(f"{root} has other things in it", hint="--scratch takes a directory of its own")
            root.chmod(0o700)
            self._use = files.open_lock(root / LOCK)
            if files.try_lock(self._use):
                (root / OWNER).write_bytes(os.fsencode(store.root))
                self._sweep(ids)
        except OSError as error:
            raise environment_error(
                f"the scratch directory {root} cannot be used: {error.strerror}",
                hint="remove it if it is an earlier version's, or choose another with --scratch",
            ) from None
        locks.acquire(self._use, f"the scratch directory {root}", store.say, shared=True)
        remove_orphans()

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
                make_root(work / "layer")
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

    def _sweep(self, ids: str) -> None:
        """Remove what killed builds left, layers of other ids, and the least recently used beyond KEPT_BYTES."""
        known = self.root / IDS
        if not known.exists() or known.read_text() != ids:
            for entry in self.root.iterdir():
                if entry.name not in (LOCK, OWNER):
                    directories.remove_tree(entry)
            known.write_text(ids)
        directories.remove_leftovers(self.root.glob("tmp-*"), self._store.say)
        markers = sorted(self.root.glob("*.used"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
        left = KEPT_BYTES
        for marker in markers:
            left -= int(marker.read_text() or 0)
            if left < 0:
                directories.remove_tree(self.root / marker.stem)
                marker.unlink()
