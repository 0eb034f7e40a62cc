"""Images built by the product as a user would build them, each once, and a key pair to log in with."""

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.boot import efi_packages
from tests.conftest import REPO, Account, make_account
from tests.standin import Standin, made_once, served, standin

# Seconds for each thing to happen: a busy machine emulates slowly, and one that has ended or panics is seen at once.
PATIENCE = 1200
SAMPLE_KEY = re.compile(r"ssh-ed25519 .* nobody has its private half")


@dataclass(frozen=True)
class Built:
    """An image, the blueprint it was made of, the private key that its users accept, and what building it said."""

    image: Path
    blueprint: Path
    key: Path
    log: str


@pytest.fixture(scope="session")
def key_pair() -> Path:
    """The file of a private key, kept between test runs as the trees are that have it; its public half is beside it."""
    return made_once("key", b"", _make_key) / "id"


def _make_key(new: Path) -> None:
    new.mkdir(mode=0o700)
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "boot test", "-f", new / "id"]
    subprocess.run(argv, check=True)


@pytest.fixture(scope="session")
def build(scratch_room: Path, installed: Path, key_pair: Path) -> Callable[[str, str], Built]:
    """Builds a sample blueprint as `root` or `user`, with the test's own ssh key in it. Each account has one store."""
    made: dict[tuple[str, str], Built] = {}

    def make(kind: str, name: str) -> Built:
        if (kind, name) not in made:
            made[kind, name] = build_as(make_account(kind, scratch_room, installed), name, key_pair)
        return made[kind, name]

    return make


@pytest.fixture(scope="session")
def repository() -> Iterator[Standin]:
    """The stand-in repository, served on loopback."""
    with standin("boot-standin") as served:
        yield served


@pytest.fixture(scope="session")
def for_uefi() -> Iterator[tuple[str, str]]:
    """The address of the repository with the packages for UEFI, served on loopback, and the key that signed them."""
    room = efi_packages.made()
    with served(room / "www", "boot-efi") as url:
        yield f"{url}/efi", (room / "key.asc").read_text()


def build_as(account: Account, name: str, key_pair: Path) -> Built:
    """Build blueprints/<name>.yaml in the account's home."""
    text = (REPO / "blueprints" / f"{name}.yaml").read_text()
    public = key_pair.with_suffix(".pub").read_text().strip()
    blueprint = account.home / f"{name}.yaml"
    blueprint.write_text(SAMPLE_KEY.sub(public, text))
    blueprint.chmod(0o644)
    done = account.compose("build", blueprint, "-o", account.home / "images", "--store", account.store)
    assert done.returncode == 0, done.stderr
    image = account.home / "images" / f"{name}.qcow2"
    assert done.stdout.split() == [str(image)]
    return Built(image, blueprint, key_pair, done.stderr)
