"""Source files for a test: a web server that can misbehave, and manifests whose stage reads the files."""

import contextlib
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.runner.conftest import Bench

CAT = r"""
import json, os, sys
args = json.load(sys.stdin)
print(json.dumps({os.path.relpath(os.path.join(d, n), args["sources"]): open(os.path.join(d, n)).read()
                  for d, _, names in os.walk(args.get("sources", "/nonexistent")) for n in names}, sort_keys=True))
"""


@dataclass
class Server:
    """A web server of the test: what it has, what it was asked for, and where it is.

    cut: after how many bytes the next answer breaks off. ranges: how it answers a request for a part of a file: a
    status, or "ignored" (with the whole file), "unsaid" (with the part, but not saying so), "other" (with another part)
    or "closed" (not at all). endless: paths without an end; gone is set when a client left one of them. stalls: paths
    of which it sends `cut` bytes and then waits for the client to leave. claimed: a size that it claims for files.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    cut: int = 0
    ranges: str | int = 206
    endless: set[str] = field(default_factory=set)
    stalls: set[str] = field(default_factory=set)
    claimed: int = 0
    sent: int = 0
    stalled: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def add(self, name: str, data: bytes) -> tuple[str, str]:
        """Offer a file; returns its checksum and URL."""
        self.files[f"/{name}"] = data
        return "sha256:" + hashlib.sha256(data).hexdigest(), f"{self.url}/{name}"


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """Run a server on a port of 127.0.0.1."""
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            span = self.headers.get("Range", "")
            state.asked.append((self.path, span))
            if self.path in state.endless:
                self.send_endless()
                return
            data = state.files.get(self.path)
            if data is None:
                self.send_error(404)
                return
            if span and state.ranges != 206:
                self.refuse_range(data, span)
                return
            start = int(span.removeprefix("bytes=").split("-")[0]) if span else 0
            self.send_response(206 if span else 200)
            if span:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.send_header("Content-Length", str(state.claimed or len(data) - start))
            self.end_headers()
            if state.cut and (not state.stalls or self.path in state.stalls):
                self.wfile.write(data[start : state.cut])
                state.cut = 0
                if self.path in state.stalls:
                    state.stalls.remove(self.path)
                    state.stalled.set()
                    with contextlib.suppress(ConnectionResetError):  # it left something unread
                        self.connection.recv(1)
                    state.gone.set()
                return
            self.wfile.write(data[start:])

        def refuse_range(self, data: bytes, span: str) -> None:
            if state.ranges == "closed":
                return
            if isinstance(state.ranges, int):
                self.send_error(state.ranges)
                return
            start = int(span.removeprefix("bytes=").split("-")[0]) if state.ranges == "unsaid" else 0
            self.send_response(200 if state.ranges == "ignored" else 206)
            if state.ranges == "other":
                self.send_header("Content-Range", f"bytes 0-{len(data) - 1}/{len(data)}")
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start:])

        def send_endless(self) -> None:
            self.send_response(200)
            self.end_headers()
            try:
                while True:
                    self.wfile.write(bytes(65536))
                    state.sent += 65536
            except OSError:
                state.gone.set()

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass  # clients that leave are part of the tests

    with Quiet(("127.0.0.1", 0), Handler) as httpd:
        state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield state
        httpd.shutdown()


def manifest(bench: Bench, urls: dict[str, Any], names: list[str], **more: Any) -> dict[str, Any]:
    bench.program("cat", CAT)
    sources = {"org.osbuild.files": {"urls": urls}, **more}
    return {"pipeline": {"stages": [{"name": "cat", "options": {"files": names}}]}, "sources": sources}


def run(bench: Bench, document: Any, *args: str | Path) -> tuple[int, dict[str, Any]]:
    done = bench.account.runner(*bench.argv("--json", *args), input=json.dumps(document))
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout)
