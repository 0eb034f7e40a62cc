"""Images built by the product as a user would build them, each once, and a key pair to log in with."""

import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.boot import efi_packages
from tests.conftest import REPO, Account, make_account
from tests.standin import Standin, served, standin

SAMPLE_KEY = re.compile(r"ssh-ed25519 .* nobody has its private half")


@dataclass(frozen=True)
class Built:
    """An image, the blueprint it was made of, the private key that its users accept, and what building it said."""

    image: Path
    blueprint: Path
    key: Path
    log: str


@pytest.fixture(scope="session")
def key_pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a new private key; its public half is beside it."""
    path = tmp_path_factory.mktemp("key") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "boot test", "-f", path], check=True)
    return path


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
    with standin() as served:
        yield served


@pytest.fixture(scope="session")
def for_uefi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of the repository with the packages for UEFI, served on loopback, and the key that signed them."""
    room = tmp_path_factory.mktemp("efi")
    key = efi_packages.publish(room)
    with served(room / "www") as url:
        yield f"{url}/efi", key.armoured


def build_as(account: Account, name: str, key_pair: Path) -> Built:
    """Build blueprints/<name>.yaml in the account's home."""
    text = (REPO / "blueprints" / f"{name}.yaml").read_text()
    public = key_pair.with_suffix(".pub").read_text().strip()
    blueprint = account.home / f"{name}.yaml"
    blueprint.write_text(SAMPLE_KEY.sub(public, text))
    blueprint.chmod(0o644)
    done = account.compose("build", blueprint, "-o", account.home / "images")
    assert done.returncode == 0, done.stderr
    image = account.home / "images" / f"{name}.qcow2"
    assert done.stdout.split() == [str(image)]
    return Built(image, blueprint, key_pair, done.stderr)
