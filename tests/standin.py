"""The stand-in RPM repository: made once per machine, served on loopback while tests run."""

import fcntl
import functools
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPO

NAME = "shared/standin/make_rpm_standin.py"
BESIDE = next((above / NAME for above in REPO.parents if (above / NAME).is_file()), REPO.parent / NAME)
SCRIPT = Path(os.environ.get("COMPOSE_STANDIN") or BESIDE)
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "osbuild-compose-tests"
TOOLS = ("apt-get", "dpkg-deb", "rpmbuild", "rpmsign", "createrepo_c", "gpg")
NOWHERE = "http://127.0.0.1:1"  # in the files as they are made; the server puts its own address there


@dataclass(frozen=True)
class Served:
    """A directory of files at the address `url`."""

    root: Path
    url: str


@dataclass(frozen=True)
class Standin(Served):
    """The repository, at `url` while it is served."""

    @property
    def key(self) -> str:
        """The public key that signed the packages."""
        return (self.root / "RPM-GPG-KEY-standin.asc").read_text()

    @property
    def options(self) -> dict[str, Any]:
        """Options of org.osbuild.dnf in the form of 2019, with a kernel."""
        text = (self.root / "dnf-stage-options.json").read_text()
        found: dict[str, Any] = json.loads(text.replace(NOWHERE, self.url))
        return found

    @property
    def repos(self) -> list[dict[str, Any]]:
        """Those options' `repos`."""
        found: list[dict[str, Any]] = self.options["repos"]
        return found


def made() -> Path:
    """The directory of the repository, made now if this machine has none of this script's. Skips where it cannot be."""
    if not SCRIPT.is_file():
        pytest.skip(f"no stand-in repository: {SCRIPT} is not there (COMPOSE_STANDIN may name another place)")
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        pytest.skip(f"no stand-in repository: making it needs {', '.join(missing)}")
    return made_once("standin", SCRIPT.read_bytes(), _make)


def _make(new: Path) -> None:
    argv = [SCRIPT, new, "--sign", "--grub-suite", "sid", "--base-url", NOWHERE]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(new / "work", ignore_errors=True)


def made_once(name: str, recipe: bytes, make: Callable[[Path], None]) -> Path:
    """A directory that is kept between test runs: made now if this machine has none of that recipe.

    make: fills the directory, which does not exist yet.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(recipe).hexdigest()[:16]
    place = CACHE / f"{name}-{digest}"
    with (CACHE / f"lock-{name}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.is_dir():
            new = CACHE / f".new-{name}-{digest}"
            shutil.rmtree(new, ignore_errors=True)
            make(new)
            new.rename(place)
    return place


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files quietly, with the server's address where the files say NOWHERE."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer, whatever the query is."""
        name = self.path.partition("?")[0].lstrip("/")
        if name not in ("metalink", "mirrorlist"):
            super().do_GET()
            return
        address, port = self.server.server_address[:2]
        text = (Path(self.directory) / name).read_bytes()
        body = text.replace(NOWHERE.encode(), f"http://{address!s}:{port}".encode())
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _server(root: Path, port_file: Path | None) -> http.server.ThreadingHTTPServer:
    """A server at the same port as the last time if it is free: with the same address a tree is found in the store."""
    handler = functools.partial(Handler, directory=str(root))
    if port_file is None:
        return http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    with suppress(OSError, ValueError):
        return http.server.ThreadingHTTPServer(("127.0.0.1", int(port_file.read_text())), handler)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    port_file.parent.mkdir(parents=True, exist_ok=True)
    port_file.write_text(str(server.server_port))
    return server


@contextmanager
def served(root: Path, name: str = "") -> Iterator[str]:
    """Serve the files below `root` on loopback inside the block; gives the address, the same every time for a name."""
    server = _server(root, CACHE / "ports" / name if name else None)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def standin(name: str = "") -> Iterator[Standin]:
    """The repository, served inside the block, at the same address every time for a name."""
    root = made()
    with served(root, name) as url:
        yield Standin(root, url)
