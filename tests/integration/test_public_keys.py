"""Public keys by address and fingerprint."""

import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from osbuild_compose.blueprint import load
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.compile.own_repositories import with_fetched_keys
from osbuild_compose.distro import keys
from osbuild_compose.distro.keys import fingerprints
from osbuild_compose.document import reader
from osbuild_compose.errors import HostError, InputError
from tests.conftest import REPO

KEYS = sorted(path for path in (REPO / "templates").glob("*/keys/*") if path.is_file())
KEY = REPO / "templates/debian/keys/debian-archive-trixie-stable.asc"
FINGERPRINT = fingerprints(KEY.read_text())[0]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A directory and the address at which it is served."""
    root = tmp_path / "site"
    root.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield root, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def blueprint(url: str, fingerprint: str = FINGERPRINT) -> Blueprint:
    key = f'{{url: "{url}", fingerprint: "{fingerprint}"}}'
    text = f"name: a\ndistro: debian-13\nrepositories: [{{url: http://a, suites: [s], keys: [{key}]}}]\n"
    return load.check(reader.parse(text.encode(), "b.yaml"), ["debian-13"])


@pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed")
@pytest.mark.parametrize("path", KEYS, ids=lambda path: path.name)
def test_fingerprints_are_those_of_gpg(path: Path, tmp_path: Path) -> None:
    argv = ["gpg", "--homedir", str(tmp_path), "--show-keys", "--with-colons", str(path)]
    listing = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert list(fingerprints(path.read_text())) == re.findall(
        r"^pub:(?:.*\n)(?:rvk.*\n)*fpr:+(\w+):", listing, re.MULTILINE
    )


def test_the_fingerprint_of_a_key_is_as_it_is_published() -> None:
    assert fingerprints(KEY.read_text()) == ("41587F7DB8C774BCCF131416762F67A0B2C39DE4",)


def test_without_gpg_a_key_is_not_judged_but_not_fetched_either(
    site: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, url = site
    shutil.copy(KEY, root / "key.asc")
    fingerprints.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert keys.problem(KEY.read_text()) == ""
    assert keys.problem("hello") == "it is not an armoured public key"
    with pytest.raises(HostError, match="gpg is missing on this machine"):
        with_fetched_keys(blueprint(f"{url}/key.asc"), {"HOME": str(tmp_path)})
    assert not keys.cache_directory({"HOME": str(tmp_path)}).exists()


def test_a_key_is_fetched_once_and_kept(site: tuple[Path, str], tmp_path: Path) -> None:
    root, url = site
    shutil.copy(KEY, root / "key.asc")
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    spaced = " ".join(re.findall("....", FINGERPRINT.lower()))
    wanted = blueprint(f"{url}/key.asc", spaced)
    first = with_fetched_keys(wanted, environ).repositories.own[0]
    assert first.keys == (KEY.read_text(),)
    assert first.key_addresses == ()
    (root / "key.asc").unlink()
    assert with_fetched_keys(wanted, environ).repositories.own[0] == first
    assert [path.name for path in keys.cache_directory(environ).iterdir()] == [f"{FINGERPRINT}.asc"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be fetched: HTTP Error 404"),
        ("hello", "cannot be used: it is not an armoured public key"),
        (KEY.read_text()[:400] + "\n-----END PGP PUBLIC KEY BLOCK-----\n", "cannot be used: "),
        (KEYS[0].read_text(), "is another one: its fingerprint is "),
        (KEY.read_text() + KEYS[0].read_text(), f"is another one: its fingerprint is {FINGERPRINT} and "),
        ("x" * (keys.MAX_BYTES + 1), "is larger than"),
    ],
    ids=["gone", "text", "cut", "other", "two", "large"],
)
def test_a_wrong_key(site: tuple[Path, str], tmp_path: Path, content: str | None, message: str) -> None:
    root, url = site
    if content is not None:
        (root / "key.asc").write_text(content)
    with pytest.raises(InputError) as caught:
        with_fetched_keys(blueprint(f"{url}/key.asc"), {"HOME": str(tmp_path)})
    assert message in caught.value.brief
    assert str(caught.value.location) == "b.yaml:3:1"
    assert not keys.cache_directory({"HOME": str(tmp_path)}).exists()


def test_a_kept_key_that_was_changed_is_not_used(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    place = keys.cache_directory(environ)
    place.mkdir(parents=True)
    (place / f"{FINGERPRINT}.asc").write_text(KEYS[0].read_text())
    with pytest.raises(InputError, match=r"the key kept in .* is another one"):
        with_fetched_keys(blueprint("http://127.0.0.1:1/key.asc"), environ)
