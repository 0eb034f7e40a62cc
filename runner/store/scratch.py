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
from runner.store import directories, files, locks, trust
from runner.store.layer import CorruptLayerError, make_root, unpack
from runner.store.scratch_place import GIB, LOCK, OWNER, remove_orphans
from runner.store.store import Store

KEPT_BYTES = 4 * GIB
IDS = "ids"  # the file in a scratch directory that names the ids of its layers' files
MAX_TEXT = 1 << 12  # bytes
MAX_DIGITS = 20
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
            if not _is_scratch(os.listdir(root)):
                raise input_error(f"{root} has other things in it", hint="--scratch takes a directory of its own")
            root.chmod(0o700)
            self._use = files.open_lock(root / LOCK)
            if files.try_lock(self._use):
                if not (root / OWNER).is_file():
                    directories.remove_tree(root / OWNER)
                files.write_atomic(root / OWNER, os.fsencode(store.root))
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
        if self._is_complete(key):
            with contextlib.suppress(FileNotFoundError):
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
        if self._marker(key).is_dir():
            directories.remove_tree(self._marker(key))
        files.write_atomic(self._marker(key), f"{size} {key} {trust.boot_id()}".encode())
        try:
            directory.rename(self.path(key))
        except OSError:
            if not self._is_complete(key):
                raise
            directories.remove_tree(directory)

    def _is_complete(self, key: str) -> bool:
        """Whether the layer was unpacked here since the machine was started: what a power cut left is not trusted."""
        marked = _read(self._marker(key)).split()
        return marked[1:] == [key, trust.boot_id()] and _is_directory(self.path(key))

    def _marker(self, key: str) -> Path:
        """A file next to the layer: its size, its key and the boot in which it was unpacked.

        Its time is when the layer was last used.
        """
        return self.root / f"{key[:SHORT]}.used"

    def _sweep(self, ids: str) -> None:
        """Remove what killed builds left, layers that cannot be used, and the least recently used beyond KEPT_BYTES."""
        usable = _read(self.root / IDS) == ids
        sizes: dict[str, int] = {}
        for marker in sorted(self.root.glob("*.used"), key=lambda path: path.lstat().st_mtime_ns, reverse=True):
            size, key, boot = (*_read(marker).split(), "", "", "")[:3]
            known = usable and boot == trust.boot_id() and marker.stem == key[:SHORT] and size.isdecimal()
            if not known or len(size) > MAX_DIGITS or not _is_directory(self.root / marker.stem):
                continue
            if sum(sizes.values()) + int(size) <= KEPT_BYTES:
                sizes[marker.stem] = int(size)
        kept = {LOCK, OWNER, IDS, *sizes, *(f"{name}.used" for name in sizes)}
        left = (entry for entry in self.root.iterdir() if entry.name not in kept)
        directories.remove_leftovers(left, self._store.say)
        if not usable:
            directories.remove_tree(self.root / IDS)
            files.write_atomic(self.root / IDS, ids.encode())


def _read(path: Path) -> str:
    """The text of a small file; empty if it is not one."""
    try:
        return files.read_small(path, MAX_TEXT).decode()
    except (OSError, ValueError):
        return ""


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _is_scratch(names: list[str]) -> bool:
    """Whether a directory with these entries is empty, a scratch directory, or one that a process began to make."""
    return OWNER in names or all(name == LOCK or name.startswith(files.UNFINISHED) for name in names)
