"""A whole system from the stand-in repository: by dnf, and by rpm from the same packages as files, without network."""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import make_account
from tests.integration.rpm.rpm_stages import DNF, LOOK, layers
from tests.integration.runner.conftest import Bench, Ran
from tests.standin import Standin, standin

RPM = "org.osbuild.rpm"
# What the tree consists of, and what its own programs say of it.
CODE = r"""
import hashlib
found["packages"] = sorted(rpm("-qa", "--dbpath", "/var/lib/rpm", "--qf", "%{NEVRA}\n").split())
def inside(*argv):
    command = ["chroot", tree, *argv]
    done = subprocess.run(command, capture_output=True, text=True, env={"PATH": "/usr/sbin:/usr/bin", "LC_ALL": "C"})
    return [done.returncode, (done.stdout + done.stderr).splitlines()]
found["verify"] = inside("rpm", "-Va", "--nomtime")
found["own"] = sorted(inside("rpm", "-qa", "--qf", "%{NEVRA}\n")[1])
found["files"] = {}
for where, _, names_ in os.walk(tree):
    for name in names_:
        path = os.path.join(where, name)
        status = os.lstat(path)
        content = os.readlink(path) if os.path.islink(path) else hashlib.sha256(open(path, "rb").read()).hexdigest()
        found["files"][path[len(tree):]] = f"{status.st_mode:o} {status.st_uid} {status.st_gid} {content}"
found["entries"] = [text("/boot/loader/entries/" + name) for name in names("/boot/loader/entries")]
"""
# Kept by dnf alone.
DNFS = ("/var/lib/dnf/", "/var/lib/rpm/")


@pytest.fixture(scope="module")
def system() -> Iterator[Standin]:
    """The stand-in repository, served on loopback."""
    with standin() as served:
        yield served


@pytest.fixture(scope="module")
def benches(scratch_room: Path, installed: Path) -> dict[str, Bench]:
    """A place for each account, with the stage that looks into trees."""
    made = {}
    for kind in ("root", "user"):
        account = make_account(kind, scratch_room, installed)
        place = account.home / "trees"
        subprocess.run(account.argv(["mkdir", place]), check=True)
        made[kind] = Bench(account, place)
        made[kind].program("look", LOOK)
    return made


@pytest.fixture(scope="module")
def trees(system: Standin, benches: dict[str, Bench]) -> dict[str, Any]:
    """What is found in the tree that dnf makes, by account."""
    found = {}
    for kind, bench in benches.items():
        ran = bench.run((DNF, system.options), ("look", {"code": CODE}))
        assert ran.returncode == 0, ran.stderr
        found[kind] = json.loads(ran.output().partition("FOUND ")[2])
    return found


def test_the_system_is_whole(trees: dict[str, Any]) -> None:
    for tree in trees.values():
        assert len(tree["packages"]) > 200
        assert tree["own"] == tree["packages"]  # the system's own rpm finds the database
        # What a system changes of its packages: configuration, and empty files that come and go.
        changed = [line for line in tree["verify"][1] if line[9:12] not in (" c ", " g ")]
        assert changed == []
        (entry,) = tree["entries"]
        assert entry.count("linux /boot/vmlinuz-") == 1
        assert entry.count("initrd /boot/initramfs-") == 1
        assert "options root=/dev/osbuild" in entry or "options $kernelopts" in entry


def test_root_and_an_ordinary_user_make_the_same_bytes(trees: dict[str, Any], benches: dict[str, Bench]) -> None:
    differing = [path for path, what in trees["root"]["files"].items() if trees["user"]["files"].get(path) != what]
    assert differing == []
    (one,), (two,) = (layers(bench) for bench in benches.values())
    assert one.read_bytes() == two.read_bytes()


def test_the_same_system_from_files(system: Standin, trees: dict[str, Any], benches: dict[str, Bench]) -> None:
    urls = {}
    wanted = {name for name in trees["root"]["packages"] if not name.startswith("gpg-pubkey-")}
    for path in sorted((system.root / "repo/x86_64/os").rglob("*.rpm")):
        argv = ["rpm", "-qp", "--nosignature", "--qf", "%{NEVRA}", path]
        if subprocess.check_output(argv, text=True, stderr=subprocess.DEVNULL) in wanted:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            urls[f"sha256:{digest}"] = f"{system.url}/{path.relative_to(system.root)}"
    assert len(urls) == len(wanted)
    options = {"packages": list(urls), "gpgkeys": [system.key]}
    stages = [{"name": RPM, "options": options}, {"name": "look", "options": {"code": CODE}}]
    sources = {"org.osbuild.files": {"urls": urls}}
    bench = benches["user"]
    document = {"pipeline": {"stages": stages}, "sources": sources}
    done = bench.account.runner(*bench.argv("--json"), input=json.dumps(document))
    assert done.returncode == 0, done.stderr
    ran = Ran(done.returncode, json.loads(done.stdout), done.stderr)
    found = json.loads(ran.output().partition("FOUND ")[2])
    assert found["packages"] == trees["root"]["packages"]
    assert found["entries"] == trees["root"]["entries"]
    assert different(found["files"], trees["root"]["files"]) == []


def different(one: dict[str, Any], two: dict[str, Any]) -> list[str]:
    """The paths that differ, but for what dnf alone writes."""
    paths = sorted(path for path in {**one, **two} if not path.startswith(DNFS))
    return [path for path in paths if one.get(path) != two.get(path)]
