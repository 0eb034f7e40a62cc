"""Fetches source files into the store: in parallel, resumed, retried, and verified on every use."""

import contextlib
import hashlib
import shutil
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from runner.errors import Kind, RunnerError, build_error, environment_error, input_error
from runner.events import Listener
from runner.manifest.sources import SKOPEO, Image, Source
from runner.passphrases import PASSPHRASES
from runner.sources import images
from runner.sources.images import ImageError
from runner.store import files
from runner.store.store import Store

PARALLEL = 8
ATTEMPTS = 3
INTERVAL = 0.5  # seconds between progress reports
# What --secrets may have for a source, and curl's option for it; passed on standard input, not on the command line.
SECRETS = {
    "ssl_ca_cert": "cacert",
    "ssl_client_cert": "cert",
    "ssl_client_key": "key",
    "user": "user",
    "header": "header",
}


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
        self._closed = False

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

    def close(self) -> None:
        """Stop fetching. What was fetched so far is kept, and resumed the next time."""
        self._closed = True
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        if self._thread is not None:
            self._thread.join()

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
        (self._store.downloads / "partial").mkdir(exist_ok=True)
        missing = [source for source in wanted if not self._has(source)]
        for source in missing:
            if source.data is not None:
                self._add_inline(source, source.data)
        remote = [source for source in missing if source.data is None]
        if not remote:
            return
        self._emit("start", id="sources", name="sources")
        started = time.monotonic()
        failures = self._download([source for source in remote if source.image is None], len(remote))
        failures += self._copy([source for source in remote if source.image is not None], len(remote))
        state = "failed" if failures else "done"
        why = "could not be fetched" if failures else ""
        self._emit("end", id="sources", name="sources", state=state, seconds=time.monotonic() - started, why=why)
        if failures and not self._closed:
            raise build_error(
                f"{len(failures)} of {len(remote)} source files could not be fetched",
                details=[f"{name}: {why}" for name, why in failures][:10],
                hint="what was fetched so far is kept; run it again to continue",
            )

    def _has(self, source: Source) -> bool:
        if source.image is not None:
            return self._has_image(source, source.image)
        path = self._path(source)
        if not path.exists():
            return False
        if files.digest(path) == source.digest:
            return True
        self._emit("note", message=f"the stored copy of {source.checksum} was damaged; it is fetched again")
        path.unlink()
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

    def _partial(self, source: Source) -> Path:
        return self._store.downloads / "partial" / source.digest

    def _copy(self, sources: list[Source], total: int) -> list[tuple[str, str]]:
        """Fetch container images; returns those that failed, and why."""
        if sources and shutil.which("skopeo") is None:
            hint = "apt install skopeo"
            raise environment_error("missing on this machine: skopeo, which fetches container images", hint=hint)
        failed = []
        for done, source in enumerate(sources, total - len(sources) + 1):
            image = cast(Image, source.image)
            work = self._store.temporary()  # what a killed build leaves there, the next one removes
            try:
                images.fetch(image, self._blobs, work, self._run_skopeo)
                self._has_image(source, image)
            except ImageError as error:
                failed.append((_shown(image), str(error)))
            finally:
                files.remove_tree(work)
            self._emit("progress", id="sources", name="sources", done=done, total=total, unit="files")
        return failed

    def _run_skopeo(self, argv: list[str]) -> bytes:
        if self._closed:
            raise ImageError("interrupted")
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as self._process:
            out, log = self._process.communicate()
        if self._process.returncode:
            raise ImageError(images.error_message(log.decode(errors="replace")))
        return out

    def _download(self, sources: list[Source], total: int) -> list[tuple[str, str]]:
        """Fetch files, and retry where that may help; returns those that failed, and why."""
        if not sources:
            return []
        if shutil.which("curl") is None:
            raise environment_error("missing on this machine: curl, which fetches sources", hint="apt install curl")
        todo = [source for source in sources if not self._accept(source)]
        failed: dict[str, str] = {}
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(attempt)
            resumed = {source.digest for source in todo if self._partial(source).exists()}
            failed = self._curl_all(todo, total)
            todo = [source for source in todo if not self._accept(source)]
            permanent = True
            for source in todo:
                if source.url not in failed or "416" in failed[source.url]:
                    # It is complete and wrong. If it was resumed, its beginning may be from an older version.
                    self._partial(source).unlink(missing_ok=True)
                    permanent &= source.digest not in resumed
                else:
                    permanent &= "(HTTP 4" in failed[source.url]
            if not todo or permanent or self._closed:
                break
        return [(source.url, failed.get(source.url, "the content does not match the digest")) for source in todo]

    def _curl_all(self, todo: list[Source], total: int) -> dict[str, str]:
        """Run curl for all files at once; returns its messages about those that failed, by URL."""
        failed: dict[str, str] = {}
        argv = ["curl", "--config", "-", "--parallel", "--parallel-max", str(PARALLEL), "--parallel-immediate"]
        argv += ["--no-progress-meter"]
        with subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as self._process:
            assert self._process.stdin
            assert self._process.stdout
            if self._closed:
                self._process.kill()
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.write("next\n".join(self._config(source) for source in todo))
                self._process.stdin.close()
            ended: list[str] = []
            with self._reporting(todo, total, ended):
                for line in self._process.stdout:
                    code, url, status, message = line.rstrip("\n").split(" ", 3)
                    if code != "0":
                        failed[url] = f"{message} (HTTP {status})" if status != "000" else message
                    ended.append(url)
        return failed

    @contextlib.contextmanager
    def _reporting(self, todo: Sequence[Source], total: int, ended: Sequence[str]) -> Iterator[None]:
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

    def _config(self, source: Source) -> str:
        options = {
            "url": source.url,
            "output": str(self._partial(source)),
            "proto": "=http,https,ftp,file",
            "write-out": "%{exitcode} %{url} %{http_code} %{errormsg}\n",
            "connect-timeout": "15",
            "speed-limit": "1",
            "speed-time": "60",
            **{SECRETS[key]: value for key, value in self._secrets.get(source.name, {}).items()},
        }
        if self._partial(source).exists():
            options["continue-at"] = "-"
        lines = [f"{name} = {_quoted(value)}" for name, value in options.items()]
        return "\n".join([*lines, "fail", "location", ""])


def _shown(image: Image) -> str:
    return f"docker://{image.name}@{image.digest}"


def _size(path: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _quoted(text: str) -> str:
    """A value in curl's configuration syntax, curl(1)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def read_secrets(document: Any) -> dict[str, dict[str, str]]:
    """The decoded document of --secrets. Raises RunnerError (input)."""
    if not isinstance(document, dict) or not all(
        isinstance(values, dict) and all(isinstance(value, str) for value in values.values())
        for values in document.values()
    ):
        raise RunnerError(Kind.INPUT, "secrets: expected an object that maps names of sources to objects of texts")
    return document
