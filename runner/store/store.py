"""The store on disk: layers and outputs by cache key, osbuild's ids as references to them, and past builds.

    layers/<key>.tar.zst, layers/<key>.json     one stage's changes, and what is known of them
    outputs/<key>/, outputs/<key>.json          what an assembler made
    refs/<tree_id|output_id>                    the key, as text
    builds/<digest>.json                        the ingredients of a build, for the reasons in plans
    costs.json                                  how long steps took
    downloads/                                  fetched files, shared by all builds
    logs/<key>.log                              what a step printed, if that was a lot
    tmp/                                        work in progress; emptied when no process uses the store

The metadata file is written last, so what has one is complete. Metadata have a checksum, and digests of the files
they describe, which are checked before these are used.
"""

import contextlib
import hashlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runner.errors import ErrorKind, RunnerError, build_error, environment_error
from runner.steps import Step, StoreState
from runner.store import devices, directories, downloads, files, locks, privacy, records, trust
from runner.store.content import sha256
from runner.store.costs import Costs
from runner.store.devices import Device
from runner.store.history import History
from runner.store.layer import Archive, LayerContents, pack
from runner.store.locks import Say
from runner.store.takeover import RefusedError, take_over

STORE_LOCK = "store"  # the lock that processes hold while they have the store open
COSTS_LOCK = "costs"
MICROSECOND = 1000  # nanoseconds
KEY = re.compile("[0-9a-f]{64}")
MAX_KEY = 64  # bytes


@dataclass(frozen=True)
class LayerInfo:
    """The metadata of a layer: the archive, the tree below it, and what is not in the archive of its overlay directory.

    tree_size is in bytes of file content, and seconds is how long the stage took.
    """

    key: str
    id: str
    name: str
    parent: str | None
    archive: Archive | None
    whiteouts: tuple[bytes, ...]
    opaques: tuple[bytes, ...]
    tree_size: int
    seconds: float
    devices: tuple[Device, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """JSON form; paths that are not UTF-8 are kept with surrogate escapes."""
        shown = asdict(self)
        for name in ("whiteouts", "opaques"):
            shown[name] = [os.fsdecode(path) for path in getattr(self, name)]
        return {**shown, "devices": [device.to_json() for device in self.devices]}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "LayerInfo":
        """Read back what to_json made."""
        fields = dict(data)
        fields["archive"] = Archive(**data["archive"]) if data["archive"] else None
        for name in ("whiteouts", "opaques"):
            fields[name] = tuple(os.fsencode(path) for path in data[name])
        fields["devices"] = tuple(map(Device.from_json, data.get("devices", ())))
        return LayerInfo(**fields)


class Store:
    """A store that is open for building. Many processes may have it open at once."""

    def __init__(self, root: Path, say: Say = locks.silent) -> None:
        """Open the store at `root`, which is created if it is missing, and made its owner's alone.

        say gets messages about waiting for others and the like. Raises RunnerError.
        """
        self.root = root
        self.say = say
        self.layers = root / "layers"
        self.outputs = root / "outputs"
        self.refs = root / "refs"
        self.builds = root / "builds"
        self.downloads = root / "downloads"
        self.tmp = root / "tmp"
        self._history = History(self.builds, say)
        self.locks = root / "locks"
        self._costs = Costs(root / "costs.json", self.locks / COSTS_LOCK)
        try:
            privacy.make_private(root, say)
            for directory in (self.layers, self.refs, self.outputs, self.builds, self.downloads):
                self._make_directory(directory)
            for name in (downloads.BLOBS, downloads.INDEXES):
                self._make_directory(self.downloads / name)
            downloads.prepare(self.downloads)
            for directory in (self.tmp, self.locks):
                self._make_directory(directory)
                privacy.private_directory(directory)
            self._use = files.open_lock(self.locks / STORE_LOCK)
        except OSError as error:
            raise environment_error(f"the store {root} cannot be used: {error.strerror}", privacy.HINT) from None
        self.share()

    def _make_directory(self, directory: Path) -> None:
        """Make a directory of the store, in place of anything else that is there. Raises OSError."""
        try:
            directory.mkdir(exist_ok=True)
        except FileExistsError:
            self.say(f"{directory} was no directory; it was replaced by an empty one")
            directories.remove_tree(directory)
            directory.mkdir()

    def sweep(self) -> None:
        """Remove what killed builds left, unless other processes use the store.

        Only in the runner's user namespace may this process remove files of all owners in a tree.
        """
        if self.only_user():
            # Earlier versions let stages write to the downloads.
            directories.remove_leftovers([*self.tmp.iterdir(), *downloads.foreign(self.downloads)], self.say)
            self.share()

    def close(self) -> None:
        """Close the store."""
        os.close(self._use)

    def open_lock(self, name: str) -> int:
        """Open the lock file of a key, or of another name; returns its descriptor."""
        return files.open_lock(self.locks / name)

    def try_lock_key(self, key: str) -> int | None:
        """Lock a key that is about to be made; returns a descriptor to close, or None if another holds the lock."""
        fd = self.open_lock(key)
        if files.try_lock(fd):
            return fd
        os.close(fd)
        return None

    def temporary(self) -> Path:
        """A new directory in the store's tmp; the caller removes it."""
        return Path(tempfile.mkdtemp(dir=self.tmp))

    def state(self) -> StoreState:
        """A snapshot of the store for planning."""
        layers = _complete(self.layers)
        history, costs = self._history.load(), self._costs.load()
        return StoreState(layers, _complete(self.outputs), StoredTrees(self), history, costs=costs)

    def layer(self, key: str) -> LayerInfo | None:
        """The metadata of a layer; None if it is not in the store, or damaged."""
        try:
            info = LayerInfo.from_json(records.read(self.layers / f"{key}.json"))
        except (FileNotFoundError, records.DamagedError, ValueError, TypeError, KeyError, AttributeError):
            return None
        return info if info.key == key else None

    def has_layer(self, key: str) -> bool:
        """Whether a layer is in the store, as far as can be said without reading its archive. A damaged one is removed.

        The archive is verified when it is unpacked.
        """
        info = self.layer(key)
        with contextlib.suppress(OSError):
            if info and info.archive is None:
                return True
            if info and info.archive:
                state = self.archive_path(key).lstat()
                if stat.S_ISREG(state.st_mode) and info.archive.size == state.st_size:
                    return True
        if os.path.lexists(self.layers / f"{key}.json"):
            self.say(f"the layer of {info.name if info else key} was damaged; it is made again")
            self.drop_layer(key)
        return False

    def archive_path(self, key: str) -> Path:
        """Where the layer's archive is."""
        return self.layers / f"{key}.tar.zst"

    def add_layer(self, step: Step, directory: Path, contents: LayerContents, seconds: float) -> LayerInfo:
        """Archive the listed entries of a directory as the step's layer.

        seconds is how long the stage took. Raises RunnerError (build), for instance when the disk is full.
        """
        work = self.temporary()
        try:
            archive = None
            nodes = devices.find(directory, contents.entries)
            if not contents.empty:
                archive = pack(directory, contents, work / "layer", nodes)
                files.move(work / "layer", self.archive_path(step.key))
            info = LayerInfo(
                key=step.key,
                id=step.call.id,
                name=step.call.name,
                parent=step.ingredients.parent,
                archive=archive,
                whiteouts=contents.whiteouts,
                opaques=contents.opaques,
                tree_size=contents.size,
                seconds=seconds,
                devices=nodes,
            )
            self._write(self.layers / f"{step.key}.json", info.to_json())
            self.refer(step.call.id, step.key)
        except OSError as error:
            raise build_error(f"the store {self.root} could not be written: {error.strerror}") from None
        finally:
            directories.remove_tree(work)
        return info

    def drop_layer(self, key: str) -> None:
        """Remove a layer, its metadata first."""
        directories.remove_tree(self.layers / f"{key}.json")
        directories.remove_tree(self.archive_path(key))

    def _write(self, path: Path, fields: Mapping[str, Any]) -> None:
        if path.is_dir():  # not ours
            directories.remove_tree(path)
        records.write(path, fields)

    def refer(self, name: str, key: str) -> None:
        """Make one of osbuild's ids a reference to a key. Raises OSError."""
        ref = self.refs / name
        if ref.is_dir():  # not ours
            directories.remove_tree(ref)
        files.write_atomic(ref, key.encode())

    def add_output(self, step: Step, made: Path) -> None:
        """Move the output of an assembler into the store, from the directory `made` on the same file system.

        Raises RunnerError (build) unless it consists of regular files and directories.
        """
        try:
            take_over(made)
        except RefusedError as refused:
            hint = "an assembler's output may have regular files and directories only"
            raise RunnerError(ErrorKind.BUILD, f"{refused} in the output", [], hint, stage=step.call.name) from None
        target = self.outputs / step.key
        directories.remove_tree(target)
        made.replace(target)
        with ThreadPoolExecutor(1) as pool:
            sums = pool.submit(_checksums, target)
            digests = trust.digests(target)
        fields = {"key": step.key, "id": step.call.id, "name": step.call.name, "digests": digests}
        fields["sha256"] = sums.result()
        self._write_output(step.key, fields, trust.look_when_settled(target))
        self.refer(step.call.id, step.key)

    def _write_output(self, key: str, fields: Mapping[str, Any], seen: trust.Seen | None) -> None:
        """Write what is known of an output; seen: what its files were like when they had these digests."""
        boot = trust.boot_id() if seen else ""
        self._write(self.outputs / f"{key}.json", {**fields, "seen": seen, "boot": boot})

    def _update_output(self, key: str, known: Mapping[str, Any], seen: trust.Seen | None) -> None:
        """Write what the files of a known output are like now; when it was last used stays."""
        path = self.outputs / f"{key}.json"
        info = path.stat()
        self._write_output(key, known, seen)
        os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))

    def output(self, key: str) -> Mapping[str, Any] | None:
        """What is known of an output: "id", "name", "digests" and more; None if it is not in the store, or damaged."""
        with contextlib.suppress(FileNotFoundError, records.DamagedError):
            known = records.read(self.outputs / f"{key}.json")
            if known.get("key") == key:
                return known
        return None

    def output_is_intact(self, key: str, *, from_disk: bool = False) -> bool:
        """Whether the output's files are as the assembler left them; otherwise it is removed, to be assembled again.

        They are exported as hard links, so booting an exported image writes to them as well; the exported file stays.
        Where trust says that nothing was changed in this boot, their digests are not computed again. from_disk: read
        every byte from the disk.
        """
        known = self.output(key)
        directory = self.outputs / key
        with contextlib.suppress(OSError, RunnerError):
            if known and not from_disk and known["boot"] == trust.boot_id() and known["seen"] == trust.look(directory):
                return True
            if known and known["digests"] == trust.digests(directory, from_disk=from_disk):
                self._update_output(key, known, trust.look_when_settled(directory))
                return True
        if os.path.lexists(self.outputs / f"{key}.json"):
            self.say(f"the output of {known['name'] if known else key} was written to or damaged; it is made again")
        self.drop_output(key)
        return False

    def drop_output(self, key: str) -> None:
        """Remove an output, its metadata first."""
        directories.remove_tree(self.outputs / f"{key}.json")
        directories.remove_tree(self.outputs / key)

    def exported(self, key: str) -> None:
        """Take note that links to the output's files were made, which changes their ctime and nothing else."""
        known = self.output(key)
        with contextlib.suppress(OSError, RunnerError):
            if known and known["boot"] == trust.boot_id() and known["seen"] != trust.look(self.outputs / key):
                seen = trust.look_when_settled(self.outputs / key)
                if seen and trust.only_ctime_differs(known["seen"], seen):
                    self._update_output(key, known, seen)

    def checksums(self, key: str) -> Mapping[str, str | None]:
        """The sha256 of each file at the top of an output, by its name; None where it would take too long."""
        known = self.output(key)
        found: Mapping[str, str | None] = known.get("sha256", {}) if known else {}
        return found

    def output_names(self, key: str) -> list[str]:
        """The names of an output's files, sorted."""
        return sorted(os.listdir(self.outputs / key))

    def remember(self, label: str, steps: tuple[Step, ...]) -> None:
        """Record the ingredients of a pipeline's steps, so that the next plan can say what changed."""
        self._history.add(label, steps)

    def record_costs(self, steps: Iterable[tuple[Step, float]]) -> None:
        """Record the seconds that steps took."""
        self._costs.add({name: seconds for step, seconds in steps for name in step.cost_names})

    def touch(self, keys: Iterable[str]) -> None:
        """Mark layers and outputs as used now, each later than the one before: the least recently used go first."""
        now = time.time_ns()
        for number, key in enumerate(keys):
            moment = now + number * MICROSECOND  # smaller differences are lost in a float of seconds
            for directory in (self.layers, self.outputs):
                with contextlib.suppress(OSError):
                    os.utime(directory / f"{key}.json", ns=(moment, moment))

    def keep_failed(self, manifest: bytes) -> Path:
        """Save the manifest of a build that failed; returns its path."""
        path = self.root / "failed" / f"{hashlib.sha256(manifest).hexdigest()[:12]}.json"
        self._make_directory(path.parent)
        privacy.private_directory(path.parent)
        files.write_atomic(path, manifest, mode=0o600)
        return path

    def log_path(self, key: str) -> Path:
        """Where the output of a step is kept if it is too long for a result."""
        return self.root / "logs" / f"{key}.log"

    def only_user(self) -> bool:
        """Whether no other process has the store open; then none can open it until this one calls share or close."""
        if files.try_lock(self._use):
            return True
        self.share()  # asking for another kind of lock may have given this one up
        return False

    def others(self) -> str:
        """The other processes that use the store, for people."""
        return locks.processes(locks.holders(self._use))

    def share(self) -> None:
        """Let other processes open the store again, after only_user()."""
        locks.acquire(self._use, f"the store {self.root}, which is being cleaned", self.say, shared=True)


class StoredTrees(Mapping[str, tuple[str, ...]]):
    """The layers of each tree in the store, by the tree's id; looked up on demand."""

    def __init__(self, store: Store) -> None:
        """store is the one that has the trees."""
        self._store = store

    def __getitem__(self, tree_id: str) -> tuple[str, ...]:
        """The keys of the tree's layers, lowest first. Raises KeyError when one is missing."""
        key: str | None = self._key(tree_id)
        keys: list[str] = []
        while key is not None:
            info = self._store.layer(key)
            if info is None or key in keys:
                raise KeyError(tree_id)
            keys.append(key)
            key = info.parent
        return tuple(reversed(keys))

    def _key(self, tree_id: str) -> str:
        """The key of the tree's last layer: what the reference says, or if it was lost, the layers themselves."""
        ref = self._store.refs / tree_id
        try:
            key = files.read_small(ref, MAX_KEY).decode("ascii")
        except (OSError, ValueError):
            key = ""
        info = self._store.layer(key) if KEY.fullmatch(key) else None
        if info is not None and info.id == tree_id:
            return key
        for key in sorted(_complete(self._store.layers)):
            info = self._store.layer(key)
            if info is not None and info.id == tree_id:
                self._store.say(f"the reference to the tree {tree_id} was lost or damaged; it is written again")
                self._store.refer(tree_id, key)
                return key
        raise KeyError(tree_id)

    def __iter__(self) -> Iterator[str]:
        """All ids in the store, those of outputs as well."""
        return (entry.name for entry in self._store.refs.iterdir())

    def __len__(self) -> int:
        """How many ids there are."""
        return sum(1 for _ in self)


def _checksums(directory: Path) -> dict[str, str | None]:
    return {entry.name: sha256(Path(entry)) for entry in os.scandir(directory) if entry.is_file(follow_symlinks=False)}


def _complete(directory: Path) -> frozenset[str]:
    return frozenset(name.removesuffix(".json") for name in os.listdir(directory) if name.endswith(".json"))
