"""The small repository, made once, and a place to run stages for each account, and with dnf5."""

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Account, make_account
from tests.integration.rpm.rpm_stages import Repositories, repositories
from tests.integration.runner.conftest import Bench, Ran

# dnf5 is in no stable release of Debian yet.
DNF5_SUITE = "sid"
DNF5_PACKAGES = ["python3", "bubblewrap", "util-linux", "dnf5", "rpm", "ca-certificates"]
DEBIAN_KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True)
class Dnf5Bench(Bench):
    """Stages run in a build root that has dnf5, made by the pipeline `build` and kept in the store of the `room`."""

    room: Path = Path()
    build: Mapping[str, Any] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        return self.room / "store"

    @property
    def scratch(self) -> Path:
        return self.room / "scratch"  # where the build root stays unpacked

    def run(self, *stages: Any, **more: Any) -> Ran:
        return super().run(*stages, build=self.build, **more)


@pytest.fixture(scope="session")
def repository(scratch_room: Path) -> Iterator[Repositories]:
    """The small repository, served on loopback."""
    with repositories(scratch_room / "repositories") as made:
        yield made


@pytest.fixture(scope="session")
def dnf5_room(scratch_room: Path) -> tuple[Path, Mapping[str, Any]]:
    """A directory for a store, and the build pipeline of a Debian that has dnf5."""
    targets = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian"]
    try:
        urls = subprocess.run(targets, capture_output=True, text=True, check=False).stdout.split()
    except FileNotFoundError:
        urls = []
    archive = next((url for url in urls if url.rstrip("/").endswith("/debian")), None)
    if archive is None or not DEBIAN_KEYS.exists():
        pytest.skip(f"no dnf5: this machine's apt has no Debian archive whose {DNF5_SUITE} to take it from")
    room = scratch_room / "dnf5"
    room.mkdir(mode=0o700)
    argv = ["gpg", "--homedir", room, "--no-default-keyring", "--keyring", DEBIAN_KEYS, "--armor", "--export"]
    keys = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    source = {"url": archive, "suites": [DNF5_SUITE], "components": ["main"], "keys": [keys]}
    source["check_valid_until"] = False
    options = {"architecture": "amd64", "repositories": [source], "packages": DNF5_PACKAGES}
    return room, {"stages": [{"name": "org.osbuild-compose.apt", "options": options}]}


@pytest.fixture(params=["root", "user", "dnf5"])
def kind(request: pytest.FixtureRequest) -> str:
    """Whose dnf installs: the host's as each account, and dnf5 as root."""
    name: str = request.param
    return name


@pytest.fixture
def account(kind: str, scratch_room: Path, installed: Path) -> Account:
    """The account of the kind."""
    return make_account("root" if kind == "dnf5" else kind, scratch_room, installed)


@pytest.fixture
def bench(kind: str, account: Account, place: Path, request: pytest.FixtureRequest) -> Bench:
    """A store of the test's own; one for all tests with dnf5, as it has the build root."""
    if kind == "dnf5":
        return Dnf5Bench(account, place, True, *request.getfixturevalue("dnf5_room"))
    return Bench(account, place)
