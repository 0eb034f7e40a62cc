"""Trees as plain directories, for machines where overlayfs can't be mounted: slower, and the same results.

One directory is carried from stage to stage; what a stage changed is found by comparing inode numbers and change times,
which every write and every change of owner, mode or attribute sets.
"""

import contextlib
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.store.files import remove_tree
from runner.store.layer import CorruptLayerError, Survey, clock_ns, extract, settle_times, walk
from runner.store.store import LayerInfo, Store
from runner.tree import Change, Writing

Snapshot = Mapping[bytes, tuple[int, int, int, int]]


@dataclass(eq=False)
class _Slot:
    """A directory for a tree, the layers it is made of now (None: in an unknown state), and whether it is in use."""

    tree: Path
    stack: tuple[str, ...] | None = None
    busy: bool = False


class PlainTrees:
    """Trees as directories, carried on from one stage to the next."""

    background = False

    def __init__(self, store: Store, room: Path) -> None:
        """room is a new directory of the caller's for the trees."""
        self._store = store
        self._room = room
        self._slots: list[_Slot] = []
        self._intact: set[str] = set()

    def ensure(self, key: str) -> None:
        """See Trees: layers are taken from their archives when a tree is made."""
        self._checked(key)

    @contextlib.contextmanager
    def reading(self, stack: tuple[str, ...]) -> Iterator[Path]:
        """See Trees."""
        with self._using(stack) as slot:
            yield slot.tree

    @contextlib.contextmanager
    def writing(self, stack: tuple[str, ...], key: str, epoch: int) -> Iterator[Writing]:
        """See Trees."""
        with self._using(stack) as slot:
            before = _snapshot(slot.tree)
            slot.stack = None  # until the stage has ended well, this is nobody's tree
            started_ns = clock_ns()
            writing = Writing(slot.tree)
            yield writing
            contents = _difference(before, _snapshot(slot.tree))
            settle_times(slot.tree, contents.entries, started_ns, epoch)
            slot.stack = (*stack, key)
            writing.change = Change(slot.tree, contents)

    @contextlib.contextmanager
    def _using(self, stack: tuple[str, ...]) -> Iterator[_Slot]:
        """A directory that holds the tree of `stack`, made from the free one that is nearest to it."""
        free = [slot for slot in self._slots if not slot.busy]
        slot = max(free, key=lambda one: _in_common(one, stack), default=None)
        if slot is None:
            slot = _Slot(self._room / f"tree{len(self._slots)}")
            self._slots.append(slot)
        slot.busy = True
        try:
            self._become(slot, stack)
            yield slot
        finally:
            slot.busy = False

    def _become(self, slot: _Slot, stack: tuple[str, ...]) -> None:
        if _in_common(slot, stack) < 0:
            remove_tree(slot.tree)
            slot.tree.mkdir(mode=0o755)
            slot.stack = ()
        done, slot.stack = slot.stack or (), None
        for key in stack[len(done) :]:
            _apply(self._checked(key), self._store.archive_path(key), slot.tree, self._room / "layer")
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
    """How many layers of `stack` the slot's tree has already; -1 when it has others or is in an unknown state."""
    if slot.stack is None or stack[: len(slot.stack)] != slot.stack:
        return -1
    return len(slot.stack)


def _apply(info: LayerInfo, archive: Path, tree: Path, room: Path) -> None:
    """Put a layer on top of a tree; `room` is a directory for it to be unpacked in first, on the same file system."""
    for path in (*info.whiteouts, *info.opaques):
        _clear(os.path.join(os.fsencode(tree), path))
    if info.archive:
        remove_tree(room)
        room.mkdir(mode=0o755)
        extract(archive, info.key, info.archive, room, info.devices)
        _merge(os.fsencode(room), os.fsencode(tree))
        remove_tree(room)


def _merge(source: bytes, target: bytes) -> None:
    """Move all that is in the directory `source` over what is in `target`, and give that the source's attributes."""
    info = os.lstat(source)
    with os.scandir(source) as scan:
        for entry in scan:
            there = os.path.join(target, entry.name)
            if _is_dir(there):
                if entry.is_dir(follow_symlinks=False):
                    _merge(entry.path, there)
                    continue
                _clear(there)
            elif entry.is_dir(follow_symlinks=False):
                _clear(there)
            os.rename(entry.path, there)  # keeps hard links and every attribute
    os.chown(target, info.st_uid, info.st_gid)
    for name in set(os.listxattr(target)) - set(os.listxattr(source)):
        os.removexattr(target, name)
    shutil.copystat(source, target)
    os.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))  # moving its entries away changed the source's


def _is_dir(path: bytes) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _clear(path: bytes) -> None:
    """Remove whatever is at `path`."""
    if _is_dir(path):
        remove_tree(Path(os.fsdecode(path)))
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def _snapshot(tree: Path) -> Snapshot:
    return {path: (info.st_ino, info.st_ctime_ns, info.st_mode, info.st_size) for path, info in walk(tree)}


def _difference(before: Snapshot, now: Snapshot) -> Survey:
    """What changed, in the form of an overlay's upper directory."""
    entries = tuple(path for path, seen in now.items() if before.get(path) != seen)
    size = sum(now[path][3] for path in entries if stat.S_ISREG(now[path][2]))

    def is_dir(path: bytes) -> bool:
        return path == b"" or (path in now and stat.S_ISDIR(now[path][2]))

    # What was below something that is no directory any more is hidden by that.
    gone = tuple(path for path in before if path not in now and is_dir(os.path.dirname(path)))
    return Survey(entries, gone, (), size)
