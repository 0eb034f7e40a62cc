"""Trees as plain directories, for machines where overlayfs can't be mounted: slower, with the same results.

One directory serves stage after stage. What a stage changed is found by comparing inode numbers and change times, which
every write and every change of owner, mode or attribute sets.
"""

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from runner.store import files
from runner.store.directories import Cursor, Places, keeping_times, remove_tree, walk
from runner.store.layer import (
    CorruptLayerError,
    LayerContents,
    clamp_times,
    clock_ns,
    data_size,
    extract,
    make_root,
)
from runner.store.store import LayerInfo, Store
from runner.tree import Change, WritableTree


class _Seen(NamedTuple):
    """An entry as it was: what every change of it changes, its mode and device numbers, and the size of its data."""

    state: tuple[int, int]
    mode: int
    device: int
    size: int

    @staticmethod
    def of(info: os.stat_result) -> "_Seen":
        return _Seen((info.st_ino, info.st_ctime_ns), info.st_mode, info.st_rdev, data_size(info))

    @property
    def is_socket(self) -> bool:
        return stat.S_ISSOCK(self.mode)

    @property
    def is_whiteout(self) -> bool:
        return stat.S_ISCHR(self.mode) and self.device == 0


Snapshot = dict[bytes, _Seen]


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
            contents = _difference(before, _without_sockets(slot.tree, _snapshot(slot.tree)))
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
        archive = None if key in self._intact else info.archive
        if archive and files.digest(self._store.archive_path(key)) != archive.digest:
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
    with Places(tree) as place:
        for path in (*info.whiteouts, *info.opaques):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                _clear(place(path))
    if info.archive:
        remove_tree(work)
        work.mkdir(mode=0o755)
        extract(
            archive,
            info.key,
            info.archive,
            work,
            nodes=info.devices,
            whiteouts=info.whiteouts,
            opaques=info.opaques,
        )
        _merge(work, tree)
        remove_tree(work)


def _merge(source: Path, target: Path) -> None:
    """Move the content of the directory `source` into `target`, replacing files, and copy the source's attributes."""
    with Cursor.at(source) as above, Cursor.at(target) as below:
        levels = [_move_entries(above, below)]
        while True:
            info, common = levels[-1]
            if common:
                name = common.pop()
                above.enter(name)
                below.enter(name)
                levels.append(_move_entries(above, below))
                continue
            _copy_attributes(above.place("."), below.place("."), info)
            levels.pop()
            if not levels:
                return
            above.leave()
            below.leave()


def _move_entries(source: Cursor, target: Cursor) -> tuple[os.stat_result, list[str]]:
    """Move the entries of one directory; returns what it was like, and the directories that both have."""
    info = os.fstat(source.fd)
    with os.scandir(source.fd) as scan:
        entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in scan]
    common = []
    for name, is_directory in entries:
        place = target.place(name)
        if is_directory and _is_dir(place):
            common.append(name)
            continue
        if is_directory or _is_dir(place):
            _clear(place)
        os.rename(source.place(name), place)  # keeps hard links and every attribute
    return info, common


def _copy_attributes(source: bytes, target: bytes, info: os.stat_result) -> None:
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
    return {entry.path: _Seen.of(entry.info) for entry in walk(tree)}


def _without_sockets(tree: Path, found: Snapshot) -> Snapshot:
    """The snapshot without sockets, and without what an overlay would take for a deletion; both are removed."""
    with Places(tree) as place:
        for path in [path for path, seen in found.items() if seen.is_socket or seen.is_whiteout]:
            at = place(path)
            with keeping_times(os.path.dirname(at)):
                os.unlink(at)
            del found[path]
    return found


def _difference(before: Snapshot, after: Snapshot) -> LayerContents:
    """What changed, as an overlay's upper directory would have it."""
    changed = {path for path, seen in after.items() if path not in before or before[path].state != seen.state}

    def is_dir(path: bytes) -> bool:
        return path == b"" or (path in after and stat.S_ISDIR(after[path].mode))

    # Entries of a directory that was replaced or removed need no whiteouts of their own.
    gone = tuple(path for path in before if path not in after and is_dir(os.path.dirname(path)))
    for path in (*changed, *gone):
        # An upper directory has all directories above its entries, too, and archives need their attributes.
        while (path := os.path.dirname(path)) and path not in changed:
            changed.add(path)
    entries = tuple(path for path in after if path in changed)
    size = sum(after[path].size for path in entries)
    return LayerContents(entries, gone, (), size)
