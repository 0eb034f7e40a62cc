"""Trees as plain directories, for machines where overlayfs can't be mounted: slower, with the same results.

One directory serves stage after stage. What a stage changed is found by comparing inode numbers and change times, which
every write and every change of owner, mode or attribute sets.
"""

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.store.directories import remove_tree
from runner.store.layer import CorruptLayerError, LayerContents, clamp_times, clock_ns, extract, make_root, walk
from runner.store.store import LayerInfo, Store
from runner.tree import Change, WritableTree

Snapshot = Mapping[bytes, tuple[int, int, int, int]]


@dataclass(eq=False)
class _Slot:
    """A directory for a tree, the layers that it consists of (None: unknown), and whether it is in use."""

    tree: Path
    stack: tuple[str, ...] | None = None
    busy: bool = False


class PlainTrees:
    """Trees as directories, reused from one stage to the next."""

    background = False

    def __init__(self, store: Store, directory: Path) -> None:
        """directory is an empty one for the trees."""
        self._store = store
        self._directory = directory
        self._slots: list[_Slot] = []
        self._intact: set[str] = set()

    def ensure(self, key: str) -> None:
        """See Trees: layers are extracted when a tree is made."""
        self._checked(key)

    @contextlib.contextmanager
    def reading(self, stack: tuple[str, ...]) -> Iterator[Path]:
        """See Trees."""
        with self._using(stack) as slot:
            yield slot.tree

    @contextlib.contextmanager
    def writing(self, stack: tuple[str, ...], key: str, epoch: int) -> Iterator[WritableTree]:
        """See Trees."""
        with self._using(stack) as slot:
            before = _snapshot(slot.tree)
            slot.stack = None  # unknown until the stage has succeeded
            started_ns = clock_ns()
            writing = WritableTree(slot.tree)
            yield writing
            contents = _difference(before, _snapshot(slot.tree))
            clamp_times(slot.tree, contents.entries, started_ns, epoch)
            slot.stack = (*stack, key)
            writing.change = Change(slot.tree, contents)

    @contextlib.contextmanager
    def _using(self, stack: tuple[str, ...]) -> Iterator[_Slot]:
        """A directory with the tree of `stack`, made from the free one that has most of its layers."""
        free = [slot for slot in self._slots if not slot.busy]
        slot = max(free, key=lambda one: _in_common(one, stack), default=None)
        if slot is None:
            slot = _Slot(self._directory / f"tree{len(self._slots)}")
            self._slots.append(slot)
        slot.busy = True
        try:
            self._update(slot, stack)
            yield slot
        finally:
            slot.busy = False

    def _update(self, slot: _Slot, stack: tuple[str, ...]) -> None:
        if _in_common(slot, stack) < 0:
            remove_tree(slot.tree)
            make_root(slot.tree)
            slot.stack = ()
        done, slot.stack = slot.stack or (), None
        for key in stack[len(done) :]:
            _apply(self._checked(key), self._store.archive_path(key), slot.tree, self._directory / "layer")
        slot.stack = stack

    def _checked(self, key: str) -> LayerInfo:
        info = self._store.layer(key)
        if info is None:
            raise CorruptLayerError(key)
        if key not in self._intact and info.archive:
            try:
                with self._store.archive_path(key).open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
            except FileNotFoundError:
                digest = ""
            if digest != info.archive.digest:
                raise CorruptLayerError(key)
        self._intact.add(key)
        return info


def _in_common(slot: _Slot, stack: tuple[str, ...]) -> int:
    """How many layers of `stack` the slot's tree has; -1 if it has others or its state is unknown."""
    if slot.stack is None or stack[: len(slot.stack)] != slot.stack:
        return -1
    return len(slot.stack)


def _apply(info: LayerInfo, archive: Path, tree: Path, work: Path) -> None:
    """Apply a layer to a tree, after extracting it to the new directory `work` on the same file system."""
    for path in (*info.whiteouts, *info.opaques):
        _clear(os.path.join(os.fsencode(tree), path))
    if info.archive:
        remove_tree(work)
        work.mkdir(mode=0o755)
        extract(archive, info.key, info.archive, work, info.devices)
        _merge(os.fsencode(work), os.fsencode(tree))
        remove_tree(work)


def _merge(source: bytes, target: bytes) -> None:
    """Move the content of the directory `source` into `target`, replacing files, and copy the source's attributes."""
    info = os.lstat(source)
    with os.scandir(source) as scan:
        for entry in scan:
            place = os.path.join(target, entry.name)
            if _is_dir(place):
                if entry.is_dir(follow_symlinks=False):
                    _merge(entry.path, place)
                    continue
                _clear(place)
            elif entry.is_dir(follow_symlinks=False):
                _clear(place)
            os.rename(entry.path, place)  # keeps hard links and every attribute
    os.chown(target, info.st_uid, info.st_gid)
    for name in set(os.listxattr(target)) - set(os.listxattr(source)):
        os.removexattr(target, name)
    shutil.copystat(source, target)
    os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))  # moving its entries changed those of the source


def _is_dir(path: bytes) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _clear(path: bytes) -> None:
    """Remove the file or directory at `path`, if there is one."""
    if _is_dir(path):
        remove_tree(Path(os.fsdecode(path)))
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _snapshot(tree: Path) -> Snapshot:
    return {path: (info.st_ino, info.st_ctime_ns, info.st_mode, info.st_size) for path, info in walk(tree)}


def _difference(before: Snapshot, after: Snapshot) -> LayerContents:
    """What changed, as an overlay's upper directory would have it."""
    entries = tuple(path for path, seen in after.items() if before.get(path) != seen)
    size = sum(after[path][3] for path in entries if stat.S_ISREG(after[path][2]))

    def is_dir(path: bytes) -> bool:
        return path == b"" or (path in after and stat.S_ISDIR(after[path][2]))

    # Entries of a directory that was replaced or removed need no whiteouts of their own.
    gone = tuple(path for path in before if path not in after and is_dir(os.path.dirname(path)))
    return LayerContents(entries, gone, (), size)
