"""org.osbuild.dnf with a repository that has a certificate of its own and wants one of its visitors."""

import functools
import http.server
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.rpm.rpm_stages import DNF, Repositories, look, options
from tests.integration.runner.conftest import Bench
from tests.standin import Handler


@dataclass(frozen=True)
class Certificates:
    """PEM files: of an authority, and by it of a server and of a client."""

    room: Path

    def make(self) -> None:
        """Make them all, for the server 127.0.0.1."""
        self.room.mkdir()
        new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        self._run(*new, "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.crt")
        for name, more in (("server", ["-addext", "subjectAltName=IP:127.0.0.1"]), ("client", [])):
            self._run(*new, "-subj", f"/CN={name}", "-CA", "ca.crt", "-CAkey", "ca.key", *more,
                      "-keyout", f"{name}.key", "-out", f"{name}.crt")  # fmt: skip

    def text(self, name: str) -> str:
        """The text of a file."""
        return (self.room / name).read_text()

    def _run(self, *argv: str) -> None:
        subprocess.run(argv, cwd=self.room, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(scratch_room: Path) -> Certificates:
    made = Certificates(scratch_room / "certificates")
    made.make()
    return made


@pytest.fixture(scope="module")
def url(repository: Repositories, certificates: Certificates) -> Iterator[str]:
    """The address of the repository behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.room / "server.crt", certificates.room / "server.key")
    context.load_verify_locations(certificates.room / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    handler = functools.partial(Handler, directory=str(repository.room / "www"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}/main"
    server.shutdown()
    server.server_close()
    thread.join()


def repo(url: str, repository: Repositories, certificates: Certificates, *names: str) -> dict[str, Any]:
    """The repository with some of the certificates."""
    files = {"sslcacert": "ca.crt", "sslclientcert": "client.crt", "sslclientkey": "client.key"}
    return repository.repo(baseurl=url, **{name: certificates.text(files[name]) for name in names})


def test_all_certificates(bench: Bench, repository: Repositories, certificates: Certificates, url: str) -> None:
    found = look(
        bench,
        [(DNF, options(["probe"], repo(url, repository, certificates, "sslcacert", "sslclientcert", "sslclientkey")))],
        "found['files'] = [open(os.path.join(where, name), 'rb').read().find(b'PRIVATE KEY')"
        " for where, _, names in os.walk(tree) for name in names]",
    )
    assert set(found["files"]) == {-1}
    kept = [path for path in (bench.store / "downloads").rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if b"PRIVATE KEY" in path.read_bytes()]


@pytest.mark.parametrize("names", [(), ("sslclientcert", "sslclientkey"), ("sslcacert",)])
def test_certificates_that_are_missing(
    bench: Bench, repository: Repositories, certificates: Certificates, url: str, names: tuple[str, ...]
) -> None:
    ran = bench.run((DNF, options(["docs"], repo(url, repository, certificates, *names))))
    assert ran.returncode == 1, ran.stderr
    assert f"cannot read the repository {url}" in ran.result["error"]["message"]
    assert ran.result["error"]["hint"] == "check the repository's sslcacert, sslclientcert and sslclientkey"
