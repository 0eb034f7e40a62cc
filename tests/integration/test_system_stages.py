"""Stages which run the tree's own programs, on a real Debian tree."""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.stage_sandbox import EPOCH, Result, run_stage
from tests.standin import made_once

PACKAGES = (
    *("chrony", "console-setup", "firewalld", "kbd", "locales", "netbase", "openssh-server", "sudo"),
    *("systemd-sysv", "tzdata"),
)
EPOCH_DAY = EPOCH // 86400

Run = Callable[..., Result]

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mmdebstrap") is None, reason="needs root, and mmdebstrap to make a tree"
)


def debian_sources() -> list[str]:
    """The host's own Debian repositories, one line of sources.list each."""
    listing = subprocess.run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "deb $(REPO_URI) $(RELEASE) $(COMPONENT)",
            "Created-By: Packages",
            "Origin: Debian",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return listing.stdout.splitlines()


def working_directory() -> tempfile.TemporaryDirectory[str]:
    """A directory in memory when there is enough: unpacking a tree on a disk takes ten times as long."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 4 << 30
    return tempfile.TemporaryDirectory(dir=memory if roomy else None)


def unpack(tar: Path, tree: Path) -> None:
    """Unpack the tree."""
    tree.mkdir()
    subprocess.run(["tar", "-C", str(tree), "-xf", str(tar), "--numeric-owner"], check=True)


@pytest.fixture(scope="session")
def base() -> Path:
    """A small Debian with systemd, as a tar, kept between test runs."""
    sources = debian_sources()
    if not sources:
        pytest.skip("this host has no lists of Debian packages")
    argv = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    argv += ['--aptopt=Acquire::Check-Valid-Until "false"', sources[0].split()[2]]

    def make(new: Path) -> None:
        new.mkdir()
        subprocess.run([*argv, str(new / "base.tar"), *sources], check=True)

    return made_once("system", json.dumps([argv, sources]).encode(), make) / "base.tar"


@pytest.fixture(scope="session")
def tree(base: Path) -> Iterator[Path]:
    """The Debian, unpacked once: the tests do not come into each other's way."""
    with working_directory() as directory:
        made = Path(directory) / "tree"
        unpack(base, made)
        yield made


@pytest.fixture
def run(tree: Path) -> Run:
    """Run a stage on the tree; it has to succeed, unless the test says otherwise."""

    def run_it(name: str, options: dict[str, Any], *, status: int = 0) -> Result:
        result = run_stage(tree, name, options)
        assert result.status == status, result.log
        return result

    return run_it


def fields(tree: Path, path: str, name: str) -> list[str]:
    """The fields of the line that begins with `name`."""
    return next(line.split(":") for line in (tree / path).read_text().splitlines() if line.startswith(f"{name}:"))


def owner(path: Path) -> tuple[int, int, int]:
    """The uid, gid and permissions of the path."""
    found = path.lstat()
    return found.st_uid, found.st_gid, found.st_mode & 0o7777


def content(tree: Path) -> dict[str, tuple[int, int, int, str]]:
    """All there is in the tree but times."""
    found = {}
    for path in tree.rglob("*"):
        if path.is_symlink():
            what = str(path.readlink())
        else:
            what = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(tree))] = (*owner(path), what)
    return found


def test_new_users(tree: Path, run: Run) -> None:
    run("org.osbuild.groups", {"groups": {"ops": {"gid": "2000"}, "dev": {}}})
    run(
        "org.osbuild.users",
        {
            "users": {
                "admin": {
                    "groups": ["sudo", "ops"],
                    "password": "$6$salt$hash",
                    "key": "ssh-ed25519 AAAA admin@laptop",
                    "shell": "/bin/bash",
                    "description": "The Admin",
                },
                "zoe": {
                    "uid": "1000",
                    "gid": 2000,
                    "home": "/srv/zoe",
                    "expiredate": 20000,
                    "force_password_reset": True,
                },
            }
        },
    )
    assert fields(tree, "etc/group", "ops") == ["ops", "x", "2000", "admin"]
    assert fields(tree, "etc/group", "sudo")[3] == "admin"
    assert fields(tree, "etc/passwd", "zoe") == ["zoe", "x", "1000", "2000", "", "/srv/zoe", "/bin/sh"]
    _, _, uid, gid, description, home, shell = fields(tree, "etc/passwd", "admin")
    assert (description, home, shell) == ("The Admin", "/home/admin", "/bin/bash")
    assert fields(tree, "etc/shadow", "admin")[1:3] == ["$6$salt$hash", str(EPOCH_DAY)]
    assert fields(tree, "etc/shadow", "zoe")[1:3] == ["!", "0"]
    assert fields(tree, "etc/shadow", "zoe")[7] == "20000"
    me = (int(uid), int(gid))
    assert owner(tree / "home/admin/.profile") == (*me, 0o644)
    assert owner(tree / "home/admin/.ssh") == (*me, 0o700)
    assert owner(tree / "home/admin/.ssh/authorized_keys") == (*me, 0o600)
    assert (tree / "home/admin/.ssh/authorized_keys").read_text() == "ssh-ed25519 AAAA admin@laptop\n"
    assert owner(tree / "srv/zoe/.profile") == (1000, 2000, 0o644)


def test_groups_come_with_their_users(tree: Path, run: Run) -> None:
    run("org.osbuild.groups", {"groups": {"www-data": {}, "shared": {}}})
    run(
        "org.osbuild.users",
        {
            "users": {
                "alice": {"groups": ["alice", "carol", "shared"]},
                "carol": {"groups": ["alice"]},
                "dave": {"uid": 1234, "gid": 1234},
                "shared": {"gid": "shared"},
                "john.doe": {},
                "Ops": {"groups": ["dave"]},
                "4you": {},
                "pc$": {},
            }
        },
    )
    assert fields(tree, "etc/group", "www-data")[2] == "33"
    members = {name: fields(tree, "etc/group", name)[3] for name in ("alice", "carol", "shared", "dave")}
    assert members == {"alice": "carol", "carol": "alice", "shared": "alice", "dave": "Ops"}
    assert fields(tree, "etc/passwd", "dave")[2:4] == fields(tree, "etc/group", "dave")[2:3] * 2 == ["1234", "1234"]
    for name in ("alice", "carol", "shared", "john.doe", "Ops", "4you", "pc$"):
        assert fields(tree, "etc/passwd", name)[3] == fields(tree, "etc/group", name)[2]
        assert (tree / "home" / name).is_dir()


@pytest.mark.parametrize(
    ("users", "message", "option"),
    [
        ({"operator": {}}, "there is one, with gid 37", '["users", "operator"]'),
        ({"a": {"gid": 1555}, "b": {"gid": 1555}}, "neither does 'a'", '["users", "b", "gid"]'),
        ({"staff": {"gid": 1556}}, "the gid of 'staff' is 50", '["users", "staff", "gid"]'),
        ({"a": {"groups": ["sudo", "nosuch"]}}, "in the group 'nosuch'", '["users", "a", "groups", 1]'),
        ({"a": {"groups": ["a"], "gid": 100}}, "in the group 'a'", '["users", "a", "groups", 0]'),
        ({"a": {"groups": ["b"]}, "b": {"gid": 100}}, "in the group 'b'", '["users", "a", "groups", 0]'),
        ({"a": {"uid": 33}}, "'www-data' has it", '["users", "a", "uid"]'),
        ({"www-data": {"uid": 34}}, "exists with uid 33", '["users", "www-data", "uid"]'),
    ],
)
def test_accounts_that_cannot_be_made(run: Run, users: dict[str, Any], message: str, option: str) -> None:
    log = run("org.osbuild.users", {"users": users}, status=1).log
    assert message in log
    assert f"option: {option}\n" in log
    assert "hint: " in log
    assert "stage" not in log


def test_the_home_of_root(tree: Path, run: Run) -> None:
    run("org.osbuild.users", {"users": {"root": {"home": "/srv/root", "key": "k"}}})
    assert fields(tree, "etc/passwd", "root")[5] == "/srv/root"
    assert owner(tree / "srv/root") == (0, 0, 0o700)
    assert (tree / "srv/root/.ssh/authorized_keys").read_text() == "k\n"
    run("org.osbuild.users", {"users": {"root": {"home": "/root"}}})


def test_existing_users(tree: Path, run: Run) -> None:
    run(
        "org.osbuild.users",
        {"users": {"root": {"password": "!", "key": "a key", "shell": "/bin/sh"}, "www-data": {"home": "/srv/www"}}},
    )
    assert fields(tree, "etc/passwd", "root") == ["root", "x", "0", "0", "root", "/root", "/bin/sh"]
    assert fields(tree, "etc/shadow", "root")[1:3] == ["!", str(EPOCH_DAY)]
    assert owner(tree / "root/.ssh/authorized_keys") == (0, 0, 0o600)
    assert owner(tree / "srv/www")[:2] == (33, 33)


def test_users_leave_nothing_and_are_the_same_every_time(base: Path) -> None:
    outcomes = []
    for names in (("ann", "bob"), ("bob", "ann")):  # the order of keys is no part of a pipeline's identity
        with working_directory() as directory:
            tree = Path(directory) / "tree"
            unpack(base, tree)
            for name, options in (
                ("org.osbuild.groups", {"groups": {f"g{name}": {} for name in names}}),
                ("org.osbuild.users", {"users": {name: {"key": "k", "password": "*"} for name in names}}),
            ):
                assert run_stage(tree, name, options).status == 0
            outcomes.append(content(tree))
    assert outcomes[0] == outcomes[1]
    backups = [path for path in outcomes[0] if path.startswith("etc/") and (path.endswith(("-", ".lock")))]
    assert backups == []


@pytest.mark.parametrize("path", ["home", "home/eve", "home/eve/.ssh"])
def test_a_users_files_stay_in_the_tree(tree: Path, tmp_path: Path, run: Run, path: str) -> None:
    run("org.osbuild.users", {"users": {"eve": {"key": "k"}}})
    moved = tmp_path / "moved"
    shutil.move(tree / path, moved)
    outside = tmp_path / "outside"
    outside.mkdir()
    (tree / path).symlink_to(outside)
    run_stage(tree, "org.osbuild.users", {"users": {"eve": {"key": "k"}, "mallory": {"key": "k"}}})
    assert list(outside.iterdir()) == []
    (tree / path).unlink()
    shutil.copytree(moved, tree / path)


def test_systemd(tree: Path, run: Run) -> None:
    wants = tree / "etc/systemd/system/multi-user.target.wants"
    assert (wants / "chrony.service").is_symlink()
    run(
        "org.osbuild.systemd",
        {
            "enabled_services": ["ssh", "serial-getty@ttyS0", "systemd-networkd"],
            "disabled_services": ["chrony.service"],
            "masked_services": ["apt-daily.timer"],
            "default_target": "multi-user.target",
        },
    )
    assert (wants / "ssh.service").is_symlink()
    assert (wants / "systemd-networkd.service").is_symlink()
    assert (tree / "etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service").is_symlink()
    assert not (wants / "chrony.service").is_symlink()
    assert str((tree / "etc/systemd/system/apt-daily.timer").readlink()) == "/dev/null"
    assert (tree / "etc/systemd/system/default.target").readlink().name == "multi-user.target"


def test_systemd_names_what_is_not_there(run: Run) -> None:
    log = run("org.osbuild.systemd", {"enabled_services": ["chrny"]}, status=1).log
    place = 'option: ["enabled_services", 0]'
    assert log.startswith(f"error: the tree has no unit 'chrny.service'\n{place}\nhint: did you mean chrony")


def test_script(tree: Path, run: Run) -> None:
    before = content(tree)
    log = run("org.osbuild.script", {"script": "id -u; pwd; ls /; cat /proc/net/dev; echo done > /srv/mark"}).log
    assert log.startswith("0\n/\nbin\n")
    assert "eth0" not in log
    assert (tree / "srv/mark").read_text() == "done\n"
    assert run("org.osbuild.script", {"script": "#!/usr/bin/perl -w\nprint 'perl'; exit 7;"}, status=7).log == (
        "perlerror: the script ended with status 7\n"
    )
    (tree / "srv/mark").unlink()
    assert content(tree) == before


def test_a_script_sees_and_changes_nothing_else(run: Run) -> None:
    script = "for place in /run/osbuild /work; do ! test -e $place; done; ! mount -t tmpfs x /mnt; ! mknod /srv/x b 8 0"
    run("org.osbuild.script", {"script": f"set -e; {script}"})


def test_a_locale_is_made(tree: Path, run: Run) -> None:
    assert "cs_CZ.UTF-8... done" in run("org.osbuild.locale", {"language": "cs_CZ.UTF-8"}).log
    assert (tree / "etc/locale.conf").read_text() == "LANG=cs_CZ.UTF-8\n"
    assert (tree / "etc/default/locale").read_text() == "LANG=cs_CZ.UTF-8\n"
    assert "\ncs_CZ.UTF-8 UTF-8\n" in (tree / "etc/locale.gen").read_text()
    log = run("org.osbuild.script", {"script": "LC_ALL=cs_CZ.UTF-8 date -d 2024-01-01 +%B; locale -a"}).log
    assert log.startswith("ledna\n")
    archive = (tree / "usr/lib/locale/locale-archive").read_bytes()
    assert run("org.osbuild.locale", {"language": "cs_CZ.utf8"}).log == ""  # it is there: nothing is made again
    (tree / "usr/lib/locale/locale-archive").unlink()
    run("org.osbuild.locale", {"language": "cs_CZ.UTF-8"})
    assert (tree / "usr/lib/locale/locale-archive").read_bytes() == archive


def test_an_unknown_locale(tree: Path, run: Run) -> None:
    log = run("org.osbuild.locale", {"language": "cs_CS.UTF-8"}, status=1).log
    assert "error: there is no locale 'cs_CS.UTF-8'\nhint: did you mean cs_CZ.UTF-8" in log
    assert not (tree / "etc/locale.conf").exists() or "CS" not in (tree / "etc/locale.conf").read_text()


def test_a_keymap_is_made_for_the_boot(tree: Path, run: Run) -> None:
    def cached() -> dict[str, str]:
        files = sorted((tree / "etc/console-setup").glob("cached_*"))
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = cached()
    run("org.osbuild.keymap", {"keymap": "de-latin1"})
    assert 'XKBLAYOUT="de"\n' in (tree / "etc/default/keyboard").read_text()
    german = cached()
    changed = [name for name in german if german[name] != before.get(name)]
    assert [name.endswith(".kmap.gz") for name in changed] == [True]
    run("org.osbuild.keymap", {"keymap": "cz-qwerty"})
    assert 'XKBVARIANT="qwerty,"\n' in (tree / "etc/default/keyboard").read_text()
    run("org.osbuild.keymap", {"keymap": "de-latin1"})
    assert cached() == german


def test_firewalld(run: Run) -> None:
    zones = [{"name": "lab", "sources": ["192.0.2.0/24"]}, {"name": "drop", "sources": ["2001:db8::/32"]}]
    options = {"ports": ["8080:tcp"], "enabled_services": ["http"], "disabled_services": ["dhcpv6-client"]}
    run("org.osbuild.firewall", {**options, "zones": zones})
    listing = "; ".join(f"firewall-offline-cmd {zone} --list-all" for zone in ("", "--zone=lab", "--zone=drop"))
    told = run("org.osbuild.script", {"script": listing}).log
    assert "services: ssh http\n" in told or "services: http ssh\n" in told
    assert "ports: 8080/tcp\n" in told
    assert "sources: 192.0.2.0/24\n" in told
    assert "sources: 2001:db8::/32\n" in told


def test_sudo_resolves_the_name(tree: Path, run: Run) -> None:
    run("org.osbuild.hostname", {"hostname": "web"})
    timezone = tree / "etc/timezone"
    in_two_places = timezone.exists()  # Debian 13 has only the link
    run("org.osbuild.timezone", {"zone": "Europe/Prague"})
    run("org.osbuild.chrony", {"timeservers": ["192.0.2.1"]})
    script = "getent hosts web localhost; date -d @0 +%Z; chronyd -p -f /etc/chrony/chrony.conf | head -1"
    log = run("org.osbuild.script", {"script": script}).log
    assert [line.split()[0] for line in log.splitlines()] == ["127.0.1.1", "::1", "CET", "server"]
    assert (timezone.read_text() if in_two_places else "Europe/Prague\n") == "Europe/Prague\n"
    assert timezone.exists() == in_two_places
