"""Installing the same packages twice makes the same tree, without the secrets that each machine makes for itself."""

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

import pytest
from stagelib import tree_paths
from stagelib.packages import secrets

from tests.conftest import REPO
from tests.integration import apt_sandbox, popular_packages
from tests.integration.apt_sandbox import Workplace, debian, options, sound
from tests.integration.blueprint_tree import Tree

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="installs as root and as an ordinary user"),
    pytest.mark.skipif(not apt_sandbox.host().security, reason="this machine's apt has no Debian mirror"),
]

STAGE = REPO / "stages/org.osbuild-compose.first-boot-secrets"
PACKAGES = ("sudo", "openssh-server", "usr-is-merged", "iputils-ping", "systemd-sysv", "apt", "dbus")
WITH_SECRETS = ("ssl-cert", "bind9", "munge", "dropbear", "open-iscsi", "postgresql")
MADE = {
    "/etc/ssh/ssh_host_ed25519_key": "600 root:root",
    "/etc/dropbear/dropbear_ed25519_host_key": "600 root:root",
    "/etc/ssl/private/ssl-cert-snakeoil.key": "640 root:ssl-cert",
    "/etc/bind/rndc.key": "640 bind:bind",
    "/etc/munge/munge.key": "600 munge:munge",
    "/etc/iscsi/initiatorname.iscsi": "600 root:root",
    "/var/lib/postgresql/15/main/global/pg_control": "600 postgres:postgres",
}
POPULAR = os.environ.get("COMPOSE_TEST_POPULAR", "")


@dataclass(frozen=True)
class Twice:
    """The same packages, installed by root and by an ordinary user: root's tree, and the descriptions of both."""

    root: Tree
    entries: tuple[dict[str, list[object]], dict[str, list[object]]]

    def differences(self) -> list[str]:
        """The paths that are not the same in both."""
        one, other = self.entries
        return sorted(path for path in one.keys() | other.keys() if one.get(path) != other.get(path))


def install_twice(packages: tuple[str, ...], release: str) -> Iterator[Twice]:
    """Install them as root and as an ordinary user, each with downloads of its own."""
    user = apt_sandbox.ordinary_user()
    if user is None:
        pytest.skip("no user of this machine has subordinate ids (/etc/subuid)")
    start = int(time.time())
    places = [Workplace(apt_sandbox.scratch_room(), account) for account in (None, user)]
    try:
        entries = []
        for place in places:
            tree = place.directory("tree")
            result = place.run(tree, options(packages, debian(release)))
            assert result.status == 0, result.log
            sound(place, tree)
            entries.append(place.describe(tree, start))
        yield Twice(Tree(places[0].room / "tree"), (entries[0], entries[1]))
    finally:
        for place in places:
            place.remove()


@pytest.fixture(scope="module")
def small() -> Iterator[Twice]:
    """Packages that make a secret each, and some others."""
    yield from install_twice((*PACKAGES, *WITH_SECRETS), "bookworm")


def test_root_and_user_make_the_same_tree(small: Twice) -> None:
    assert small.differences() == []
    assert all(entry[5] == apt_sandbox.EPOCH for entry in small.entries[0].values() if str(entry[0]).startswith("4"))


def make_secrets(tree: Tree) -> dict[str, str]:
    """Have the tree's programs make all secrets as at the first boot; returns the digests of what was not there."""
    before = secrets.present(str(tree.root))
    tree.sh("chmod 1777 /tmp; for script in /usr/libexec/compose-secrets/*; do $script || exit; done")
    made = sorted(secrets.present(str(tree.root)) - before)
    lines = tree.sh(f"find {' '.join(made)} -type f -exec sha256sum {{}} +").splitlines()
    return {path: digest for digest, path in (line.split(None, 1) for line in lines)}


def test_each_first_boot_makes_other_secrets_as_the_packages_would(small: Twice) -> None:
    tree = small.root
    for path in MADE:
        assert not os.path.lexists(tree.root / path[1:]), path
    run_stage(tree)
    assert tree.sh("systemd-analyze verify /usr/lib/systemd/system/compose-secret-*.service") == ""
    with secrets.removed_again(str(tree.root)):
        first = make_secrets(tree)
        assert {path: tree.sh(f"stat -c '%a %U:%G' {path}").strip() for path in MADE} == MADE
        assert tree.sh("openssl x509 -noout -checkend 0 -in /etc/ssl/certs/ssl-cert-snakeoil.pem").strip()
        # The configuration that has been in the image is that of the new cluster.
        started = tree.sh(
            "chmod 1777 /dev/shm; mkdir -m 2775 /run/postgresql; chown postgres: /run/postgresql; "
            "pg_ctlcluster 15 main start && "
            "setpriv --reuid=postgres --regid=postgres --init-groups psql -Atc 'show server_encoding' && "
            "pg_ctlcluster 15 main stop"
        )
        assert started.split() == ["UTF8"]
    tree_paths.remove(str(tree.root), f"{secrets.MADE}/postgresql")
    with secrets.removed_again(str(tree.root)):
        second = make_secrets(tree)
    assert [path for path in MADE if first[path] == second[path]] == []


def run_stage(tree: Tree) -> None:
    """Add the services of the first boot to the tree."""
    text = f'{{"tree": "{tree.root}", "options": {{}}}}'
    subprocess.run([STAGE], input=text, text=True, check=True)


@pytest.mark.skipif(not POPULAR, reason="COMPOSE_TEST_POPULAR is not set: to names of batches, or `all`")
@pytest.mark.parametrize("batch", popular_packages.BATCHES)
def test_popular_packages_are_the_same_twice_but_for_what_is_known(batch: str) -> None:
    if POPULAR != "all" and batch not in POPULAR.split(","):
        pytest.skip(f"COMPOSE_TEST_POPULAR does not name {batch}")
    for twice in install_twice((*PACKAGES, *popular_packages.BATCHES[batch]), "bookworm"):
        known = tuple(popular_packages.DIFFERENT)
        unknown = [path for path in twice.differences() if not any(fnmatchcase(path, one) for one in known)]
        assert unknown == []
        run_stage(twice.root)
        if list((twice.root.root / "usr/libexec").glob("compose-secrets")):
            make_secrets(twice.root)
