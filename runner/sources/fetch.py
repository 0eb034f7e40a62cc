"""Fetches source files into the store: in parallel, resumed, retried, and verified on every use."""

import contextlib
import hashlib
import os
import shutil
import stat
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from runner import tools
from runner.errors import ErrorKind, RunnerError, build_error, input_error
from runner.events import Listener
from runner.manifest.sources import SKOPEO, Image, Source
from runner.passphrases import PASSPHRASES
from runner.sources import curl, images, local, processes, space
from runner.sources.images import ImageError, NoSpaceError
from runner.sources.local import LocalError
from runner.store import directories, files
from runner.store.store import Store

ATTEMPTS = 3
INTERVAL = 0.5  # seconds between progress reports
LOCK = "partial-downloads"  # in the store's locks: held by the one process that may continue partial downloads
FULL_HINT = "free space where the store lies, or move it: --store"
# What --secrets may have for a source, and curl's option for it; passed on standard input, not on the command line.
SECRETS = {
    "ssl_ca_cert": "cacert",
    "ssl_client_cert": "cert",
    "ssl_client_key": "key",
    "user": "user",
    "header": "header",
}


@dataclass(frozen=True)
class Failure:
    """A file or an image that could not be fetched, and why; full: for want of space."""

    address: str
    reason: str
    full: bool = False
    again: bool = False  # another attempt may succeed


class Fetcher:
    """Fetches files in a thread, while stages run that do not need them."""

    def __init__(self, store: Store, emit: Listener, secrets: Mapping[str, Mapping[str, str]]) -> None:
        """secrets maps the name of a source to the keys of SECRETS. Raises RunnerError (input) for others."""
        if SKOPEO in secrets:
            raise input_error(
                f"secrets.{SKOPEO}: this source has no secrets", hint="log in to the registry with: skopeo login"
            )
        secrets = {name: values for name, values in secrets.items() if name != PASSPHRASES}  # not for fetching
        for name, values in secrets.items():
            unknown = [key for key in values if key not in SECRETS]
            if unknown:
                raise input_error(f"secrets.{name}.{unknown[0]}: unknown key", hint=f"known: {', '.join(SECRETS)}")
        self._store = store
        self._emit = emit
        self._secrets = secrets
        self._thread: threading.Thread | None = None
        self._error: RunnerError | None = None
        self._process: subprocess.Popen[Any] | None = None  # curl or skopeo
        self._closing = threading.Event()
        self._partials: Path | None = None
        self._lock: int | None = None

    def start(self, sources: Iterable[Source]) -> None:
        """Start fetching these files, unless they are in the store."""
        wanted = sorted(sources, key=lambda source: source.checksum)
        if wanted:
            if self._thread is not None:
                self._thread.join()
            self._thread = threading.Thread(target=self._run, args=(wanted,), name="fetcher")
            self._thread.start()

    def wait(self) -> None:
        """Wait until all files are there. Raises RunnerError (build) for those that can't be fetched."""
        if self._thread is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Stop fetching, without waiting for the end. What was fetched so far is kept, and resumed the next time."""
        self._closing.set()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    def close(self) -> None:
        """Stop fetching, and wait for the end."""
        self.stop()
        if self._thread is not None:
            self._thread.join()
        if self._lock is not None:
            os.close(self._lock)
        elif self._partials is not None:
            directories.remove_tree(self._partials)
        self._lock = self._partials = None

    def link(self, source: Source, place: Path) -> None:
        """Link the file to `place`, which is in the store; an image becomes a directory in skopeo's dir layout."""
        if source.image is None:
            place.hardlink_to(self._path(source))
            return
        place.mkdir()
        (place / "version").write_bytes(images.VERSION)
        found = images.stored_files(source.image, self._blobs)
        if found is None:
            raise build_error(f"the stored copy of {source.checksum} was damaged meanwhile", hint="run it again")
        for name, path in found.items():
            (place / name).hardlink_to(path)

    @property
    def _blobs(self) -> Path:
        return self._store.downloads / "sha256"

    def _path(self, source: Source) -> Path:
        return self._blobs / source.digest

    def _run(self, wanted: list[Source]) -> None:
        try:
            self._fetch(wanted)
        except RunnerError as error:
            self._error = error
        except OSError as error:
            self._error = build_error(f"sources could not be stored: {error.strerror or error}")

    def _fetch(self, wanted: list[Source]) -> None:
        self._blobs.mkdir(exist_ok=True)
        if self._partials is None:
            self._partials = self._open_partials()
        missing = [source for source in wanted if not self._has(source)]
        for source in missing:
            if source.data is not None:
                self._add_inline(source, source.data)
        remote = [source for source in missing if source.data is None]
        if not remote:
            return
        self._emit("start", id="sources", name="sources", title="download files", target=None)
        started = time.monotonic()
        failures = self._download([source for source in remote if source.image is None], len(remote))
        failures += self._copy([source for source in remote if source.image is not None], len(remote))
        state = "failed" if failures else "done"
        why = "could not be fetched" if failures else ""
        self._emit(
            "end", id="sources", name="sources", target=None, state=state, seconds=time.monotonic() - started, why=why
        )
        if failures and not self._closing.is_set():
            full = any(failure.full for failure in failures)
            raise build_error(
                f"{len(failures)} of {len(remote)} source files could not be fetched",
                details=[f"{failure.address}: {failure.reason}" for failure in failures][:10],
                hint=FULL_HINT if full else "what was fetched so far is kept; run it again to continue",
            )

    def _has(self, source: Source) -> bool:
        if source.image is not None:
            return self._has_image(source, source.image)
        path = self._path(source)
        if not os.path.lexists(path):
            return False
        if _is_regular(path) and files.digest(path) == source.digest:
            return True
        self._emit("note", message=f"the stored copy of {source.checksum} was damaged; it is fetched again")
        directories.remove_tree(path)
        return False

    def _has_image(self, source: Source, image: Image) -> bool:
        try:
            found = images.stored_files(image, self._blobs)
        except ImageError as error:
            raise build_error(f"{_shown(image)}: {error}") from None
        if found is None:
            if self._path(source).exists():
                self._emit("note", message=f"the stored copy of {_shown(image)} is damaged; it is fetched again")
            return False
        if source.checksum not in (image.digest, images.config_digest(found["manifest.json"].read_bytes())):
            raise input_error(f"sources: {_shown(image)} does not have the id {source.checksum}")
        return True

    def _add_inline(self, source: Source, data: bytes) -> None:
        if hashlib.sha256(data).hexdigest() != source.digest:
            raise input_error(f"sources: the inline data of {source.checksum} do not match that digest")
        partial = self._partial(source)
        partial.write_bytes(data)
        partial.replace(self._path(source))

    def _open_partials(self) -> Path:
        """The directory of partial downloads: the store's, or one for this process while another uses that."""
        self._lock = self._store.try_lock_key(LOCK)
        if self._lock is None:
            return self._store.temporary()
        directory = self._store.downloads / "partial"
        if directory.is_symlink() or not directory.is_dir():
            directories.remove_tree(directory)
            directory.mkdir()
        return directory

    def _partial(self, source: Source) -> Path:
        """Where the file is fetched to: a name of this digest and this address, which have that beginning in common."""
        assert self._partials is not None
        return self._partials / f"{source.digest}-{hashlib.sha256(source.url.encode()).hexdigest()[:16]}"

    def _drop_useless_partials(self, sources: Iterable[Source]) -> None:
        """Remove partial downloads of these digests from other addresses, and anything but regular files."""
        assert self._partials is not None
        kept = {self._partial(source).name for source in sources}
        digests = {source.digest for source in sources}
        for path in list(self._partials.iterdir()):
            if path.name[:64] in digests and not (path.name in kept and _is_regular(path)):
                directories.remove_tree(path)

    def _copy(self, sources: list[Source], total: int) -> list[Failure]:
        """Fetch container images; returns those that failed, and why."""
        if sources and shutil.which("skopeo") is None:
            raise tools.missing("skopeo", "fetches container images")
        failed = []
        for done, source in enumerate(sources, total - len(sources) + 1):
            image = cast(Image, source.image)
            work = self._store.temporary()  # the next build removes what a killed one leaves there
            try:
                images.fetch(image, self._blobs, work, self._run_skopeo)
                self._has_image(source, image)
            except ImageError as error:
                failed.append(Failure(_shown(image), str(error), isinstance(error, NoSpaceError)))
            finally:
                directories.remove_tree(work)
            self._emit("progress", id="sources", name="sources", done=done, total=total, unit="files")
        return failed

    def _run_skopeo(self, argv: list[str]) -> bytes:
        if self._closing.is_set():
            raise ImageError("interrupted")
        argv = processes.bound_to_runner(argv)
        with (
            subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            ) as self._process,
            space.guarded(self._store.downloads, self._process) as full,
        ):
            if self._closing.is_set():
                self._process.kill()
            out, log = self._process.communicate()
        if full.is_set():
            raise NoSpaceError(self._full())
        if self._process.returncode:
            raise ImageError(images.error_message(log.decode(errors="replace")))
        return out

    def _full(self) -> str:
        return f"it does not fit: nothing more can be used in {self._store.downloads}"

    def _download(self, sources: list[Source], total: int) -> list[Failure]:
        """Fetch files, and retry where that may help; returns those that failed, and why."""
        if not sources:
            return []
        self._drop_useless_partials(sources)
        failed = self._copy_local([source for source in sources if source.url.startswith(local.SCHEME)])
        todo = [source for source in sources if not source.url.startswith(local.SCHEME)]
        todo = [source for source in todo if not self._accept(source)]
        if todo and shutil.which("curl") is None:
            raise tools.missing("curl", "fetches sources")
        for attempt in range(ATTEMPTS):
            if not todo or self._closing.wait(attempt):
                break
            failures = self._attempt(todo, total)
            again = attempt < ATTEMPTS - 1
            failed += [failure for failure in failures.values() if not (failure.again and again)]
            todo = [source for source in todo if source in failures and failures[source].again and again]
        return failed + [Failure(source.url, "interrupted") for source in todo]

    def _copy_local(self, sources: list[Source]) -> list[Failure]:
        failed = []
        for source in sources:
            partial = self._partial(source)
            partial.unlink(missing_ok=True)
            try:
                digest = local.copy(source.url, partial, lambda: not self._closing.is_set())
            except LocalError as error:
                failed.append(Failure(source.url, str(error), error.full))
                continue
            if digest == source.digest:
                partial.replace(self._path(source))
            else:
                partial.unlink()
                failed.append(Failure(source.url, "the content does not match the digest"))
        return failed

    def _attempt(self, todo: list[Source], total: int) -> dict[Source, Failure]:
        """Fetch files once; returns those that are still missing, and why."""
        room = space.usable(self._store.downloads)
        if room == 0:
            return {source: Failure(source.url, self._full(), full=True) for source in todo}
        before = {source: _size(self._partial(source)) for source in todo}
        outcomes, full = self._curl_all(todo, total, room)
        missing = [source for source in todo if not self._accept(source)]
        unfinished = [source for source in missing if source.digest not in outcomes]
        largest = max(unfinished, key=lambda source: _size(self._partial(source)), default=None)
        failures = {}
        for source in missing:
            outcome = outcomes.get(source.digest)
            if outcome is not None:
                verdict = curl.verdict(outcome, before[source], _size(self._partial(source)))
                reason = outcome.reason(room, self._store.downloads)
                failures[source] = Failure(source.url, reason, outcome.too_large, verdict.again)
                drop = verdict.drop
            elif full:  # the largest may be one without an end; the others are continued without it
                drop = source is largest
                failures[source] = Failure(source.url, self._full(), full=True, again=not drop)
            else:
                drop = False
                failures[source] = Failure(source.url, "curl ended and did not say why", again=True)
            if drop:
                self._partial(source).unlink(missing_ok=True)
        return failures

    def _curl_all(self, todo: list[Source], total: int, room: int) -> tuple[dict[str, curl.Outcome], bool]:
        """Run curl for all files at once, each with room for so many bytes.

        Returns how those that ended did, by digest, and whether curl was stopped because the file system was full.
        """
        outcomes: dict[str, curl.Outcome] = {}
        largest = max(_size(self._partial(source)) for source in todo)
        with (
            subprocess.Popen(
                processes.bound_to_runner([*curl.ARGV, curl.QUIET]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                errors="replace",
            ) as self._process,
            space.guarded(self._store.downloads, self._process) as full,
        ):
            assert self._process.stdin
            assert self._process.stdout
            if self._closing.is_set():
                self._process.kill()
            processes.limit_file_size(self._process.pid, largest + room)
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write(curl.joined(self._config(source, room) for source in todo))
                self._process.stdin.close()
            with self._reporting(todo, total, outcomes):
                for line in self._process.stdout:
                    if (ended := curl.outcome(line)) is not None:
                        outcomes[ended[0]] = ended[1]
        return outcomes, full.is_set()

    @contextlib.contextmanager
    def _reporting(self, todo: Sequence[Source], total: int, ended: Sized) -> Iterator[None]:
        """Report from time to time, and at the end, how many of `total` files are there, and how many bytes."""
        stop = threading.Event()

        def report() -> None:
            size = sum(_size(self._partial(source)) for source in todo)
            done = total - len(todo) + len(ended)
            self._emit("progress", id="sources", name="sources", done=done, total=total, unit="files", size=size)

        def watch() -> None:
            while not stop.wait(INTERVAL):
                report()

        watcher = threading.Thread(target=watch, name="fetcher's reports")
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()
        report()

    def _accept(self, source: Source) -> bool:
        """Move a file into the store if it is complete; returns whether it was."""
        partial = self._partial(source)
        if not partial.exists():
            return False
        if files.digest(partial) == source.digest:
            partial.replace(self._path(source))
            return True
        return False

    def _config(self, source: Source, room: int) -> str:
        secrets = {SECRETS[key]: value for key, value in self._secrets.get(source.name, {}).items()}
        return curl.config(source.digest, source.url, self._partial(source), room, secrets)


def _shown(image: Image) -> str:
    return f"docker://{image.name}@{image.digest}"


def _is_regular(path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return stat.S_ISREG(path.lstat().st_mode)
    return False


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def read_secrets(document: Any) -> dict[str, dict[str, str]]:
    """The decoded document of --secrets. Raises RunnerError (input)."""
    if not isinstance(document, dict) or not all(
        isinstance(values, dict) and all(isinstance(value, str) for value in values.values())
        for values in document.values()
    ):
        raise RunnerError(ErrorKind.INPUT, "secrets: expected an object that maps names of sources to objects of texts")
    return document
