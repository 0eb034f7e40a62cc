"""Where the scratch directory of a store is: in memory if there is room for it, by a name that only the store knows.

Everybody may make directories in /dev/shm, so a name that others can guess could be taken before. The directory there
gets a random name, which the private store keeps in a file. Nothing that another user owns is ever opened.
"""

import contextlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from runner.store import directories, files, locks
from runner.store.store import Store

SHM = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it
PREFIX = "osbuild-compose-"
NAME = re.compile(PREFIX + r"[a-z0-9_]+")
GIB = 1 << 30
# A server tree is half a GiB, and its image's file system is written there once more.
MEMORY_FOR_TMPFS = 4 * GIB
RECORD = "scratch-in-memory"  # the file in the store with the name of its directory in memory
OWNER = "store"  # the file in a scratch directory that names its store
LOCK = "lock"  # the one that processes lock while they use the directory
PLACE_LOCK = "scratch"  # held while the place is chosen
MAX_PATH = 1 << 13  # bytes of a store's path that are read
FORGOTTEN = 3600  # seconds after which a directory without the name of a store is removed


def default_root(store: Store) -> Path:
    """The default scratch directory of a store, which exists if it is in memory; otherwise it is in the store."""
    lock = store.open_lock(PLACE_LOCK)
    try:
        locks.acquire(lock, "the place of scratch", store.say)
        if room_in_memory(store.root) < MEMORY_FOR_TMPFS:
            return store.root / "scratch"
        return in_memory(store.root) or _make(store)
    finally:
        os.close(lock)


def room_in_memory(store: Path) -> int:
    """Bytes of memory for a store's scratch directory.

    What the layers of earlier builds occupy there counts as free: a build uses or replaces them.
    """
    known = in_memory(store)
    return min(available_memory(), free_in_memory()) + (_size_of(known) if known else 0)


def in_memory(store: Path) -> Path | None:
    """The store's directory in memory; None if there is none that is this user's alone."""
    try:
        name = os.fsdecode(files.read_small(store / RECORD, MAX_PATH))
        if not NAME.fullmatch(name):
            return None
        return SHM / name if _is_ours(SHM / name) else None
    except OSError:
        return None


def clear_scratch(store: Store, keep: Path | None = None) -> None:
    """Remove this store's scratch directories, in memory and in the store, unless they are in use; `keep` stays."""
    for directory in filter(None, (in_memory(store.root), store.root / "scratch")):
        if directory != keep and _is_ours(directory):
            with _unused(directory) as unused:
                if unused:
                    directories.remove_tree(directory)


def remove_orphans() -> None:
    """Remove this user's scratch directories in memory that no store knows any more, unless they are in use."""
    with contextlib.suppress(OSError):
        for directory in _ours():
            # One without the name of a store may be about to get it.
            recent = directory.lstat().st_mtime > time.time() - FORGOTTEN
            if _is_known(directory) or (recent and _owner(directory) is None):
                continue
            with _unused(directory) as unused:
                if unused and not _is_known(directory):  # its maker may have finished meanwhile
                    directories.remove_tree(directory)


def _is_known(directory: Path) -> bool:
    """Whether the store that a directory in memory belongs to uses it."""
    store = _owner(directory)
    return store is not None and in_memory(store) == directory


def _make(store: Store) -> Path:
    try:
        root = Path(tempfile.mkdtemp(prefix=PREFIX, dir=SHM))
        lock = files.open_lock(root / LOCK)
    except OSError:
        return store.root / "scratch"
    try:
        files.try_lock(lock)  # so that no other process takes it for an orphan meanwhile
        (root / OWNER).write_bytes(os.fsencode(store.root))
        if (store.root / RECORD).is_dir():
            directories.remove_tree(store.root / RECORD)
        files.write_atomic(store.root / RECORD, os.fsencode(root.name), mode=0o600)
    finally:
        os.close(lock)
    return root


@contextlib.contextmanager
def _unused(directory: Path) -> Iterator[bool]:
    """Whether no process uses a scratch directory; then none does while this lasts."""
    lock = files.open_lock(directory / LOCK)
    try:
        yield files.try_lock(lock)
    finally:
        os.close(lock)


def _ours() -> Iterator[Path]:
    """This user's directories in memory that have a scratch directory's name."""
    with os.scandir(SHM) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(PREFIX)]
    return (SHM / name for name in names if _is_ours(SHM / name))


def _is_ours(directory: Path) -> bool:
    """Whether it is a directory, not a link to one, that belongs to this user and that nobody else may enter."""
    try:
        info = directory.lstat()
    except OSError:
        return False
    private = not stat.S_IMODE(info.st_mode) & (stat.S_IRWXG | stat.S_IRWXO)
    return stat.S_ISDIR(info.st_mode) and info.st_uid == os.geteuid() and private


def _owner(directory: Path) -> Path | None:
    """The store that a scratch directory of this user's belongs to."""
    try:
        fd = os.open(directory / OWNER, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        name = os.fsdecode(file.read(MAX_PATH))
    return Path(name) if name.startswith("/") and "\0" not in name else None


def _size_of(root: Path) -> int:
    """Bytes of the layers in a scratch directory, as far as it can be read."""
    size = 0
    for marker in root.glob("*.used"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            size += int(files.read_small(marker, MAX_PATH).split()[0])
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
