"""Maintenance of a store: listing, measuring, evicting and verifying its content."""

import contextlib
import os
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from runner.errors import input_error
from runner.store import directories, downloads, files
from runner.store.store import COSTS_LOCK, MAX_KEY, STORE_LOCK, Store

UNREADABLE = "(unreadable)"
LOGS_KEPT = 30  # days
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class EntryKind(StrEnum):
    """The kinds of entries in a store."""

    LAYER = "layer"
    OUTPUT = "output"
    DOWNLOAD = "download"


@dataclass(frozen=True)
class Entry:
    """One entry: its key (or digest), the step that made it, bytes on disk, when it was last used (epoch seconds).

    seconds is how long making it took, where that is known.
    """

    kind: EntryKind
    key: str
    name: str
    size: int
    used: float
    seconds: float = 0.0

    def fields(self) -> dict[str, Any]:
        """The entry as JSON values."""
        fields = asdict(self)
        return {"what": fields.pop("kind").value, **fields}


def entries(store: Store) -> list[Entry]:
    """Everything in the store, the least recently used first."""
    found = [*_layers(store), *_outputs(store), *_downloads(store)]
    return sorted(found, key=lambda entry: (entry.used, entry.key))


def prune(
    store: Store,
    candidates: Sequence[Entry],
    *,
    keep_bytes: int | None = None,
    unused_since: float | None = None,
    held: Iterable[str] = (),
) -> list[Entry]:
    """Remove entries in their order; returns those removed. No other process may have the store open.

    keep_bytes: until at most so many bytes are left. unused_since (epoch seconds): those not used since then. held: the
    keys that stay.
    """
    kept = set(held)
    left = sum(entry.size for entry in candidates)
    removed = []
    for entry in candidates:
        old = unused_since is not None and entry.used < unused_since
        large = keep_bytes is not None and left > keep_bytes
        if entry.key in kept or not (old or large):
            continue
        remove(store, entry)
        left -= entry.size
        removed.append(entry)
    for other in downloads.others(store.downloads):
        old = unused_since is not None and other.lstat().st_mtime < unused_since
        if old or (keep_bytes is not None and keep_bytes <= 0):
            directories.remove_tree(other)
    _remove_stale_names(store)
    return removed


def remove_logs(store: Store, before: float | None = None) -> None:
    """Remove the output of steps that was written before a time (epoch seconds; None: all)."""
    for log in list((store.root / "logs").glob("*.log")):
        if before is None or log.lstat().st_mtime < before:
            directories.remove_tree(log)


def limit_size(store: Store, size: int, held: Iterable[str]) -> None:
    """Remove the least recently used entries until at most `size` bytes are left (0: no limit).

    Keys in `held` stay; nothing is removed while other processes use the store.
    """
    if size and store.only_user():
        prune(store, entries(store), keep_bytes=size, held=held)
        remove_logs(store, days_ago(LOGS_KEPT))
        store.share()


def _remove_stale_names(store: Store) -> None:
    """Remove ids and locks of keys that are no longer in the store."""
    state = store.state()
    present = state.layers | state.outputs
    for ref in store.refs.iterdir():
        if not _refers_to(ref, present):
            directories.remove_tree(ref)
    for lock in store.locks.iterdir():
        if lock.name not in present and lock.name not in (STORE_LOCK, COSTS_LOCK):
            directories.remove_tree(lock)
    for place, keys in ((store.layers, state.layers), (store.outputs, state.outputs)):
        for entry in place.iterdir():
            if entry.name.partition(".")[0] not in keys:  # its metadata were lost, or never written
                directories.remove_tree(entry)


def _refers_to(ref: Path, keys: Collection[str]) -> bool:
    try:
        return files.read_small(ref, MAX_KEY).decode("ascii") in keys
    except (OSError, ValueError):
        return False


def remove(store: Store, entry: Entry) -> None:
    """Remove one entry, its metadata first."""
    if entry.kind is EntryKind.LAYER:
        store.drop_layer(entry.key)
    elif entry.kind is EntryKind.OUTPUT:
        store.drop_output(entry.key)
    else:
        directories.remove_tree(store.downloads / downloads.BLOBS / entry.key)


def verify(store: Store, candidates: Iterable[Entry]) -> list[Entry]:
    """Read every byte of layers, outputs and downloads from the disk; returns the damaged entries, which are removed.

    Damaged references and records of earlier builds are reported as well, and removed.
    """
    state = store.state()
    for ref in list(store.refs.iterdir()):
        if not _refers_to(ref, state.layers | state.outputs):
            store.say(f"the reference {ref.name} was damaged or to nothing, and is removed")
            directories.remove_tree(ref)
    damaged = [entry for entry in candidates if not _intact(store, entry)]
    for entry in damaged:
        remove(store, entry)
    return damaged


def _intact(store: Store, entry: Entry) -> bool:
    if entry.kind is EntryKind.OUTPUT:
        return store.output_is_intact(entry.key, from_disk=True)
    if entry.kind is EntryKind.DOWNLOAD:
        return downloads.is_intact(store.downloads / downloads.BLOBS / entry.key, from_disk=True)
    info = store.layer(entry.key)
    return info is not None and (
        info.archive is None or files.digest(store.archive_path(entry.key), from_disk=True) == info.archive.digest
    )


def _layers(store: Store) -> Iterable[Entry]:
    for path, state in _entries(store.layers):
        info = store.layer(path.stem)
        size = state.st_size + (info.archive.size if info and info.archive else 0)
        name = info.name if info else UNREADABLE
        yield Entry(EntryKind.LAYER, path.stem, name, size, state.st_mtime, info.seconds if info else 0.0)


def _outputs(store: Store) -> Iterable[Entry]:
    for path, state in _entries(store.outputs):
        known = store.output(path.stem)
        blocks = 0
        with contextlib.suppress(OSError):
            blocks = sum(entry.info.st_blocks for entry in directories.walk(store.outputs / path.stem))
        name = str(known["name"]) if known else UNREADABLE
        yield Entry(EntryKind.OUTPUT, path.stem, name, blocks * 512, state.st_mtime)


def _downloads(store: Store) -> Iterable[Entry]:
    for path, state in _entries(store.downloads / downloads.BLOBS, ""):
        yield Entry(EntryKind.DOWNLOAD, path.name, "download", state.st_size, max(state.st_atime, state.st_mtime))


def _entries(directory: Path, suffix: str = ".json") -> Iterable[tuple[Path, os.stat_result]]:
    """What a directory has, of whatever kind, with its lstat."""
    for path in list(directory.iterdir()):
        with contextlib.suppress(FileNotFoundError):
            if path.name.endswith(suffix):
                yield path, path.lstat()


def days_ago(days: float) -> float:
    """The time so many days ago, in epoch seconds. Raises RunnerError (input) for what is no number of days."""
    if not 0 <= days < float("inf"):
        raise input_error(f"{days} is not a number of days", hint="for instance 30, or 0.5 for half a day")
    return time.time() - days * 86400


def parse_size(text: str) -> int:
    """Bytes from a number with a unit K, M, G or T (of 1024), with or without iB. Raises RunnerError (input)."""
    number = text.strip().removesuffix("iB").removesuffix("B").strip()
    unit = number[-1:].upper() if number[-1:].isalpha() else ""
    try:
        size = int(float(number.removesuffix(number[-1:]) if unit else number) * UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        size = -1
    if size < 0:
        raise input_error(f"{text!r} is not a size", hint="for instance 10G or 500 MiB")
    return size
