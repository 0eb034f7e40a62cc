"""The apt stage with real repositories, real packages and the real dpkg."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stagelib.apt import stubs

from tests.integration import apt_sandbox
from tests.integration.apt import odd_packages
from tests.integration.apt_repository import Contents, Key, Repository, served
from tests.integration.apt_sandbox import Workplace, debian, options, sound

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="compares with trees that only root can make"),
    pytest.mark.skipif(not apt_sandbox.host().security, reason="this machine's apt has no Debian mirror"),
]


@pytest.fixture(scope="module")
def root() -> Iterator[Workplace]:
    """The stage run by root."""
    place = Workplace(apt_sandbox.scratch_room(), None)
    yield place
    place.remove()


@pytest.fixture(scope="module")
def user() -> Iterator[Workplace]:
    """The stage run by an ordinary user as root of a user namespace."""
    name = apt_sandbox.ordinary_user()
    if name is None:
        pytest.skip("no user of this machine has subordinate ids (/etc/subuid)")
    place = Workplace(apt_sandbox.scratch_room(), name)
    yield place
    place.remove()


@pytest.fixture(scope="module")
def essential(root: Workplace) -> Path:
    """A tree with the Essential packages and one that only came as a dependency."""
    tree = root.directory("essential")
    result = root.run(tree, options(["usr-is-merged", "libpam-cap"], debian("bookworm")))
    assert result.status == 0, result.log
    return tree


@pytest.fixture
def base(root: Workplace, essential: Path) -> Path:
    """A copy of the tree, to be changed."""
    tree = root.room / f"base-{time.monotonic_ns()}"
    subprocess.run(["cp", "-a", essential, tree], check=True)
    return tree


def test_packages_are_added_to_a_tree(root: Workplace, base: Path) -> None:
    result = root.run(base, options(["openssh-server", "sudo"], debian("bookworm")))
    assert result.status == 0, result.log
    sound(root, base)
    assert "Auto-Installed" in (base / "var/lib/apt/extended_states").read_text()
    assert "Package: sudo\n" not in (base / "var/lib/apt/extended_states").read_text()


def test_dpkg_is_the_trees_own_wherever_apt_says_its_database_is(root: Workplace, base: Path) -> None:
    # apt 3 says where; apt 2 does not, so this is its way of calling with either of them
    work = root.directory("work")
    stubs.prepare(str(work))
    settings = json.dumps({"tree": str(base), "work": str(work), "archives": [str(work)]})
    argv = [sys.executable, "-m", "stagelib.apt.dpkg_wrapper", settings, "--admindir", f"{base}/var/lib/dpkg/"]
    environment = {**os.environ, "PYTHONPATH": str(root.stages)}
    found = subprocess.check_output([*argv, "--get-selections"], text=True, env=environment)
    assert "libpam-cap:amd64\t" in found
    assert found == root.inside(base, "dpkg", "--get-selections")


def test_the_initramfs_is_made_only_when_asked_for(root: Workplace, base: Path) -> None:
    first = root.run(base, options(["linux-image-cloud-amd64", "initramfs-tools", "zstd"], debian("bookworm")))
    assert first.status == 0, first.log
    assert first.log.count("Generating /boot/initrd.img") == 1
    assert (base / "boot").joinpath(next((base / "boot").glob("initrd.img-*")).name).stat().st_size > 1_000_000
    second = root.run(base, options(["tree"], debian("bookworm")))
    assert second.status == 0, second.log
    assert "Generating" not in second.log
    third = root.run(base, options(["thin-provisioning-tools", "lvm2"], debian("bookworm")))
    assert third.status == 0, third.log
    assert third.log.count("Generating /boot/initrd.img") == 1
    sound(root, base)


def test_a_hostile_tree_leads_nowhere(root: Workplace, base: Path) -> None:
    outside = root.directory("outside")
    (outside / "status").write_text("")
    shutil.rmtree(base / "var/lib/apt", ignore_errors=True)
    (base / "var/lib/apt").symlink_to(outside)
    (base / "etc/ssh").symlink_to("/run/osbuild/downloads")
    before = sorted(path.name for path in root.downloads.iterdir())
    root.run(base, options(["tree"], debian("bookworm")))
    assert sorted(path.name for path in outside.iterdir()) == ["status"]
    assert sorted(path.name for path in root.downloads.iterdir()) == before


# -- a repository of our own -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    """The key that signs our repository."""
    return Key(tmp_path_factory.mktemp("key") / "home")


@pytest.fixture
def repository(tmp_path: Path, key: Key) -> Iterator[Repository]:
    """An empty repository that is being served."""
    made = Repository(tmp_path / "repository", key)
    with served(made.root) as url:
        made.url = url
        yield made


def ours(repository: Repository, **more: Any) -> list[dict[str, Any]]:
    """The repository as an option, with Debian's."""
    mine = {
        "url": repository.url,
        "suites": ["test"],
        "components": ["main"],
        "keys": [repository.key.armoured],
        **more,
    }
    return [*debian("bookworm"), mine]


@pytest.mark.parametrize("account", ["root", "user"])
def test_device_nodes_of_packages_have_placeholders(
    request: pytest.FixtureRequest, account: str, repository: Repository
) -> None:
    """Of those that are unpacked directly, and of those that dpkg unpacks, into the empty tree."""
    place: Workplace = request.getfixturevalue(account)
    for name, script in (("nodes", {}), ("nodes-preinst", {"preinst": "#!/bin/sh\ntest -x /usr/bin/dpkg\n"})):
        commands = f"cd srv/{name}; mknod b b 259 1000; mknod -m 666 c c 1 3; chgrp tty b; chmod 4620 b; "
        commands += "touch -d @1234567890 b"
        repository.add(name, Contents({}, {f"srv/{name}/file": "x\n"}, script, commands))
    repository.publish()
    tree = place.directory("nodes")
    result = place.run(tree, options(["nodes", "nodes-preinst"], ours(repository)))
    assert result.status == 0, result.log
    assert "nodes-preinst is unpacked by dpkg" in result.log
    assert "nodes is unpacked by dpkg" not in result.log
    sound(place, tree)
    described = place.describe(tree, 0)
    for name in ("nodes", "nodes-preinst"):
        top = tree / "srv" / name
        assert os.getxattr(top / "b", "user.osbuild-compose.device") == b"b 259 1000"
        assert os.getxattr(top / "c", "user.osbuild-compose.device") == b"c 1 3"
        info = (top / "b").lstat()
        assert (info.st_mode, int(info.st_mtime), info.st_size) == (0o104620, 1_234_567_890, 0)
        assert described[f"/srv/{name}/b"][1:3] == described["/srv/nodes/b"][1:3]


def test_device_nodes_of_a_package_on_top_of_a_tree_are_refused_by_name(
    root: Workplace, base: Path, repository: Repository
) -> None:
    repository.add("nodes", Contents({}, {"srv/file": "x\n"}, {}, "mknod srv/node c 1 3"))
    repository.publish()
    result = root.run(base, options(["nodes"], ours(repository)))
    assert result.status == 1
    assert "error: package nodes: " in result.error
    assert "/srv/node" in result.error
    assert "hint: no program of a build may make device nodes; nodes can be among" in result.error


def test_a_failing_script_is_named_with_its_output(root: Workplace, base: Path, repository: Repository) -> None:
    script = "#!/bin/sh\necho the disk is made of cheese\nexit 3\n"
    repository.add("fails", Contents({}, {"usr/share/fails": "x"}, {"postinst": script}))
    repository.add("needs-fails", Contents({"Depends": "fails"}, {"usr/share/needs-fails": "x"}))
    repository.publish()
    result = root.run(base, options(["needs-fails"], ours(repository)))
    assert result.status == 1
    assert result.error.startswith("error: package fails: ")
    assert "the disk is made of cheese" in result.error
    assert "hint: " in result.error


def test_what_was_removed_is_told(root: Workplace, base: Path, repository: Repository) -> None:
    repository.add("pushes", Contents({"Conflicts": "libpam-cap"}, {"usr/share/pushes": "x"}))
    repository.add("wants", Contents({"Depends": "pushes"}, {"usr/share/wants": "x"}))
    repository.publish()
    result = root.run(base, options(["wants"], ours(repository)))
    assert result.status == 0, result.log
    assert "\nnote: pushes (needed by wants) removed libpam-cap, with which it conflicts\n" in result.log
    assert result.log.count("note: ") == 1


def test_a_changed_configuration_file_is_kept(root: Workplace, base: Path, repository: Repository) -> None:
    conf = Contents({}, {"etc/kept.conf": "a=1\n"}, {"conffiles": "/etc/kept.conf\n"})
    repository.add("kept", conf)
    repository.publish()
    assert root.run(base, options(["kept"], ours(repository))).status == 0
    (base / "etc/kept.conf").write_text("a=mine\n")
    repository.add("kept", Contents({}, {"etc/kept.conf": "a=2\n"}, {"conffiles": "/etc/kept.conf\n"}), "2.0")
    repository.publish()
    result = root.run(base, options(["kept=2.0"], ours(repository)))
    assert result.status == 0, result.log
    assert (base / "etc/kept.conf").read_text() == "a=mine\n"


def test_damaged_downloads_are_fetched_again(root: Workplace, base: Path, repository: Repository) -> None:
    repository.add("whole", Contents({}, {"usr/share/whole": "x" * 100}))
    repository.publish()
    assert root.run(base, options(["whole"], ours(repository))).status == 0
    digest = subprocess.check_output(["sha256sum", next(repository.root.glob("pool/*"))], text=True).split()[0]
    cached = root.downloads / "sha256" / digest
    cached.write_bytes(cached.read_bytes()[:-1] + b"?")
    indexes = [json.loads(path.read_text()) for path in root.downloads.glob("indexes/*.json")]
    lists = {name: about[0] for index in indexes for name, about in index.items() if name.startswith("127.0.0.1")}
    for name, packages in lists.items():
        if name.endswith("_Packages"):
            index = root.downloads / "sha256" / packages
            index.write_bytes(index.read_bytes() + b"\n")
    subprocess.run(["chroot", base, "dpkg", "--purge", "whole"], check=True)
    result = root.run(base, options(["whole"], ours(repository)))
    assert result.status == 0, result.log
    assert "whole_1.0_all.deb in the cache is damaged, downloading it again" in result.log
    assert "damaged indexes, downloading them again: 127.0.0.1" in result.log
    assert subprocess.check_output(["sha256sum", cached], text=True).split()[0] == digest


def test_a_package_that_is_not_the_signed_one_is_refused(root: Workplace, base: Path, repository: Repository) -> None:
    path = repository.add("forged", Contents({}, {"usr/share/forged": "x"}))
    repository.publish()
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    result = root.run(base, options(["forged"], ours(repository)))
    assert result.status == 1
    assert "error: cannot download" in result.error
    assert "not those of its signed index" in result.error
    assert not (base / "usr/share/forged").exists()


def test_unknown_packages_are_all_named(root: Workplace, base: Path) -> None:
    result = root.run(base, options(["ngnix", "sudo", "opensh-server"], debian("bookworm")))
    assert result.status == 1
    assert "error: the repositories have no packages ngnix, opensh-server" in result.error
    assert "openssh-server" in result.error
    assert "nginx" in result.error


def test_what_cannot_be_installed_together_is_explained(root: Workplace, base: Path) -> None:
    result = root.run(base, options(["openssh-server"], debian("bookworm"), exclude=["openssh-client"]))
    assert result.status == 1
    assert "cannot be installed together" in result.error
    assert "openssh-client" in result.error


def test_a_repository_needs_its_own_key(root: Workplace, base: Path, repository: Repository, tmp_path: Path) -> None:
    repository.publish()
    other = Key(tmp_path / "other")
    wrong = root.run(base, options(["sudo"], ours(repository, keys=[other.armoured])))
    assert wrong.status == 1
    assert "error: cannot use the repositories" in wrong.error
    assert "hint: add the key that signs this repository" in wrong.error
    none = root.run(base, options(["sudo"], ours(repository, keys=["-----BEGIN PGP PUBLIC KEY BLOCK-----\n"])))
    assert "is not an ASCII-armoured OpenPGP public key" in none.error
    assert not (base / "usr/bin/sudo").exists()


def test_an_expired_key_is_refused(root: Workplace, base: Path, repository: Repository, tmp_path: Path) -> None:
    old = Key(tmp_path / "old", expires="seconds=1")
    repository.publish(old)
    time.sleep(2)
    result = root.run(base, options(["sudo"], ours(repository, keys=[old.armoured])))
    assert result.status == 1
    assert "EXPKEYSIG" in result.error
    assert "hint: the repository's key has expired" in result.error


def test_an_unreachable_mirror_fails_at_once(root: Workplace, base: Path, repository: Repository) -> None:
    repository.publish()
    start = time.monotonic()
    result = root.run(
        base, options(["sudo"], [*ours(repository)[:-1], {**ours(repository)[-1], "url": "http://127.0.0.1:9/"}])
    )
    assert result.status == 1
    assert "127.0.0.1:9" in result.error
    assert "hint: check the repository's url and the network" in result.error
    assert time.monotonic() - start < 30


def test_whatever_apt_takes(root: Workplace, base: Path, repository: Repository) -> None:
    """Patterns, flat repositories, repositories and archives that are files, priorities, and one archive twice."""
    for name in ("one-a", "one-b", "one-left"):
        repository.add(name, Contents({}, {f"srv/{name}": "x\n"}))
    for version in ("1.21", "1.22-1", "1.22-2", "1.23"):
        repository.add("wild", Contents({}, {"srv/wild": f"{version}\n"}), version)
    repository.publish()
    flat = Repository(repository.root / "flat", repository.key)
    flat.add("plain", Contents({"Recommends": "one-b"}, {"srv/plain": "x\n"}))
    flat.publish_flat()
    here = Repository(repository.root.parent / "here", repository.key)
    here.add("local", Contents({}, {"srv/local": "x\n"}))
    here.add("wild", Contents({}, {"srv/wild": "low\n"}), "9")
    here.publish_flat(signed=False)
    given = Repository(repository.root.parent / "given", repository.key)
    archive = given.add("given", Contents({"Depends": "one-a, debconf"}, {"srv/given": "x\n"}))
    files = [path for path in here.root.rglob("*") if path.is_file()]
    repositories = [
        *ours(repository),
        {**ours(repository)[-1], "url": repository.url.rstrip("/"), "check_valid_until": True},
        {"url": f"{repository.url}flat", "suites": ["./"], "keys": [repository.key.armoured]},
        {
            "files": {str(path.relative_to(here.root)): apt_sandbox.checksum(path) for path in files},
            "suites": ["./"],
            "check_signatures": False,
        },
    ]
    wanted = options(
        ["one-*", "wild=1.22*", "plain:amd64", "local"],
        repositories,
        archives=[apt_sandbox.checksum(archive)],
        exclude=["one-left"],
        preferences=[{"pin": 'origin ""', "priority": 90}],
        recommends=True,
        answers=[
            *odd_packages.ANSWERS[:1],
            {"package": "given", "question": "given/key", "type": "password", "value": "hunter2"},
        ],
    )
    result = root.run(base, wanted, [*files, archive])
    assert result.status == 0, result.log
    assert sorted(path.name for path in (base / "srv").iterdir()) == [
        "given",
        "local",
        "one-a",
        "one-b",
        "plain",
        "wild",
    ]
    assert (base / "srv/wild").read_text() == "1.22-2\n"
    kept = "".join(path.read_text() for path in (base / "var/cache/debconf").iterdir() if path.is_file())
    assert "from the blueprint" in kept
    assert "hunter2" not in kept
    apt_sandbox.sound(root, base)
    for packages, reason in (("wild=2*", "Version '2*' for 'wild' was not found"), ("two-*", "no package two-*")):
        result = root.run(base, {**wanted, "packages": [packages], "answers": []}, [*files, archive])
        assert reason in result.error
    assert root.run(
        base, {**wanted, "preferences": [{"pin": "release nowhere", "priority": 90}]}, [*files, archive]
    ).error
