"""What org.osbuild.dnf refuses: it says what and where, before anything is installed where that can be known."""

import hashlib
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.rpm.packages import PACKAGES
from tests.integration.rpm.repository import RpmRepository
from tests.integration.rpm.rpm_stages import DNF, Repositories, layers, options
from tests.integration.runner.conftest import Bench

# dnf 4: "  Installing       : docs-1-1.x86_64 ", dnf5: "[3/6] Installing docs-0:1-1.x86_64"
INSTALLING = re.compile(r"(?m)^\s*(Installing +: |\[\d+/\d+\] Installing )\S")


def refused(bench: Bench, wanted: dict[str, Any], *, before_installing: bool = True) -> str:
    """Run the stage, which fails; returns message and hint. Nothing is left but downloads that were checked."""
    before = layers(bench)
    ran = bench.run((DNF, wanted))
    assert ran.returncode == 1, ran.stderr
    assert "Traceback" not in ran.stderr + ran.output()
    assert (INSTALLING.search(ran.output()) is None) == before_installing
    assert layers(bench) == before
    assert not list((bench.store / "downloads").glob(".*"))
    kept = {path.name.partition(".")[0] for path in bench.store.glob("layers/*.json")}
    trees = [path.name for path in bench.scratch.iterdir() if path.is_dir()]
    assert [name for name in trees if not any(key.startswith(name) for key in kept)] == []
    told = ran.result["error"]
    return f"{told['message']}\nhint: {told.get('hint', '')}"


def damage(file: Path) -> None:
    """Change one byte near the end."""
    data = bytearray(file.read_bytes())
    data[-20] ^= 1
    file.write_bytes(data)


def variant(repository: Repositories, name: str) -> RpmRepository:
    """A copy of the repository to damage, each time a new one."""
    number = len(list((repository.room / "www").iterdir()))
    return repository.main.copy(repository.room / f"www/{name}-{number}")


def test_a_package_that_the_repositorys_key_has_not_signed(bench: Bench, repository: Repositories) -> None:
    told = refused(bench, options(["docs"], repository.repo(gpgkey=repository.foreign.armoured)))
    assert f"the package docs-1-1.x86_64 from the repository {repository.url}/main is not signed by a key of" in told
    assert "hint: set gpgkey to the repository's own keys" in told


def test_a_package_without_a_signature(bench: Bench, repository: Repositories) -> None:
    told = refused(bench, options(["unsigned"], repository.repo()))
    assert f"the package unsigned-1-1.x86_64 from the repository {repository.url}/main is not signed" in told
    assert "hint: sign it, or remove the repository's gpgkey" in told
    assert bench.run((DNF, options(["unsigned"], repository.repo(gpgkey=None)))).returncode == 0


def test_the_right_one_of_two_repositories_is_named(bench: Bench, repository: Repositories) -> None:
    repos = [repository.repo(priority=10), repository.repo("newer", gpgkey=repository.foreign.armoured)]
    told = refused(bench, options(["docs", "rival-2"], repos[0], {**repos[1], "priority": 99}))
    assert "rival-2" in told
    told = refused(bench, options(["docs"], {**repos[0], "priority": 99}, {**repos[1], "priority": 10}))
    assert f"the package docs-2-1.x86_64 from the repository {repository.url}/newer is not signed by a key" in told


def test_a_repository_in_another_state_than_asked_for(bench: Bench, repository: Repositories) -> None:
    told = refused(bench, options(["docs"], repository.repo(checksum=f"sha256:{'0' * 64}")))
    assert f"the repository {repository.url}/main has changed: its repomd.xml has the checksum" in told
    assert repository.main.checksum in told


def test_a_package_that_is_not_what_the_metadata_say(bench: Bench, repository: Repositories) -> None:
    copy = variant(repository, "tampered")
    damage(copy.root / "docs-1-1.x86_64.rpm")
    told = refused(bench, options(["docs"], repository.repo(copy.root.name)))
    assert f"cannot download the package docs-1-1.x86_64 from the repository {repository.url}/{copy.root.name}" in told
    assert "checksum doesn't match" in told
    assert "hint: the mirror is damaged or changing" in told


def test_a_package_that_its_repository_has_replaced(bench: Bench, repository: Repositories) -> None:
    """By another file of the same name and version: that of the first build is in dnf's cache, and read-only there."""
    copy = variant(repository, "replaced")
    copy.publish()
    assert bench.run((DNF, options(["docs"], repository.repo(copy.root.name)))).returncode == 0
    package = copy.root / "docs-1-1.x86_64.rpm"
    before = package.read_bytes()
    docs = next(one for one in PACKAGES if one.name == "docs")
    other = replace(docs, tags=f"{docs.tags}\nURL: http://localhost/").build(bench.place / "rpm")
    repository.key.sign(other)
    shutil.copy(other, package)
    copy.publish()
    ran = bench.run((DNF, options(["docs"], repository.repo(copy.root.name), install_weak_deps=False)))
    assert ran.returncode == 0, ran.result["error"]["message"] + ran.output()
    stored = {path.name for path in (bench.store / "downloads" / "sha256").iterdir()}
    assert {hashlib.sha256(data).hexdigest() for data in (before, package.read_bytes())} <= stored


def test_a_tampered_package_with_metadata_to_match(bench: Bench, repository: Repositories) -> None:
    copy = variant(repository, "forged")
    damage(copy.root / "docs-1-1.x86_64.rpm")
    copy.publish()
    told = refused(bench, options(["docs"], repository.repo(copy.root.name)))
    where = f"{repository.url}/{copy.root.name}"
    assert f"the package docs-1-1.x86_64 from the repository {where} is damaged or was tampered with" in told


def test_damaged_metadata(bench: Bench, repository: Repositories) -> None:
    copy = variant(repository, "metadata")
    damage(next((copy.root / "repodata").glob("*primary.xml.gz")))
    told = refused(bench, options(["docs"], repository.repo(copy.root.name)))
    assert f"cannot read the repository {repository.url}/{copy.root.name}: checksum doesn't match" in told
    assert "hint: the mirror is damaged or changing" in told


def test_a_metalink_for_another_repository(bench: Bench, repository: Repositories) -> None:
    url = f"{repository.url}/main"
    (repository.room / "www/wrong-link").write_text(repository.main.metalink(url, "0" * 128))
    link = f"{repository.url}/wrong-link"
    told = refused(bench, options(["docs"], repository.repo(baseurl=None, metalink=link)))
    assert f"cannot read the repository {link}: checksum doesn't match" in told
    assert "hint: the mirror is not in step with its metalink" in told


@pytest.mark.parametrize("operation", ["install", "upgrade", "remove"])
def test_packages_that_are_not_there(bench: Bench, repository: Repositories, operation: str) -> None:
    told = refused(bench, options(["no-such-package", "neither*"], repository.repo(), operation=operation))
    where = "the tree" if operation == "remove" else f"the repository {repository.url}/main"
    assert f"there is no package no-such-package, neither* in {where}" in told


def test_a_group_that_is_not_there(bench: Bench, repository: Repositories) -> None:
    told = refused(bench, options(["docs", "@No Such Group"], repository.repo()))
    assert f"there is no group No Such Group in the repository {repository.url}/main" in told
    told = refused(bench, options(["nothing"], repository.repo(), operation="groupinstall"))
    assert "no group nothing" in told


def test_packages_that_cannot_be_installed(bench: Bench, repository: Repositories) -> None:
    told = refused(bench, options(["needy"], repository.repo()))
    assert "nothing provides what-nobody-has needed by needy-1-1.x86_64" in told
    told = refused(bench, options(["docs", "rival"], repository.repo()))
    assert "rival-1-1.x86_64" in told
    assert "docs-1-1.x86_64" in told
    assert f"{repository.url}/main" in told


@pytest.mark.parametrize(
    ("package", "script"),
    [("bad-pre", "prein"), ("bad-post", "post"), ("bad-posttrans", "posttrans"), ("bad-trigger", "transfiletriggerin")],
)
def test_a_script_that_fails(bench: Bench, repository: Repositories, package: str, script: str) -> None:
    told = refused(bench, options([package, "trigger"], repository.repo()), before_installing=False)
    assert (
        f"a package's script failed: %{script} of {package}-1-1.x86_64 from the repository {repository.url}/main"
        in told
    )


def test_a_script_that_fails_at_removal(bench: Bench, repository: Repositories) -> None:
    first = (DNF, options(["bad-preun"], repository.repo()))
    ran = bench.run(first, (DNF, options(["bad-preun"], repository.repo(), operation="remove")))
    assert ran.returncode == 1
    assert "%preun of bad-preun-1-1.x86_64" in ran.result["error"]["message"]


def test_a_file_whose_owner_does_not_exist(bench: Bench, repository: Repositories) -> None:
    told = refused(bench, options(["stray-owner"], repository.repo()), before_installing=False)
    assert (
        f"files of stray-owner-1-1.x86_64 from the repository {repository.url}/main should belong to the user nobody-h"
        in told
    )


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/main", "http://no-such-host.invalid/main"])
def test_a_repository_that_cannot_be_reached(bench: Bench, repository: Repositories, url: str) -> None:
    told = refused(bench, options(["docs"], repository.repo(), {"baseurl": url}))
    assert url in told
    assert "hint: check the repository's URL and the network" in told


def test_a_repository_that_is_not_there(bench: Bench, repository: Repositories) -> None:
    told = refused(bench, options(["docs"], repository.repo("nowhere")))
    assert f"{repository.url}/nowhere" in told
    assert "hint: check the repository's URL, releasever and basearch" in told


def test_the_network_is_not_needed_for_what_is_pinned_and_there(bench: Bench, repository: Repositories) -> None:
    copy = variant(repository, "gone")
    wanted = options(["docs"], repository.repo(copy.root.name, checksum=copy.checksum))
    assert bench.run((DNF, wanted)).returncode == 0
    copy.root.rename(copy.root.with_name(f"{copy.root.name}-away"))
    assert bench.run((DNF, {**wanted, "install_weak_deps": False})).returncode == 0
