"""Scripts of RPM packages, and trees that they leave behind, against the stages that install packages."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.attacks.conftest import PRELUDE
from tests.integration.rpm.packages import base
from tests.integration.rpm.repository import ARCH, Package, RpmRepository
from tests.integration.runner.conftest import Bench, Ran
from tests.standin import served

pytestmark = [
    pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild is not installed"),
    pytest.mark.skipif(shutil.which("dnf") is None, reason="dnf is not installed"),
]

DNF, RPM = "org.osbuild.dnf", "org.osbuild.rpm"
DOWNLOADS = "/run/osbuild/downloads"
DBPATH = "/usr/lib/sysimage/rpm"
# rpm runs Lua in its own process, from where it is only a chroot to the rest of the sandbox.
LUA = f"""%post -p <lua>
local function link(path)
  posix.unlink(path)
  posix.symlink("{DOWNLOADS}/owned", path)
end
local function fifo(path)
  posix.unlink(path)
  posix.mkfifo(path, "rw-r--r--")
end
for _, path in ipairs{{"/etc/machine-id", "/etc/dracut.conf.d/zz-osbuild-compose.conf", "/etc/kernel/cmdline",
    "{DBPATH}/rpmdb.sqlite-journal", "/var/log/dnf.log"}} do link(path) end
for _, path in ipairs{{"/etc/shadow-", "/etc/.pwd.lock", "/var/log/dnf-x.log", "/boot/loader/entries/one.conf",
    "/usr/lib/rpm/macros.d/macros.x"}} do fifo(path) end
local function fails(path)
  local file = io.open(path, "w")
  if file == nil then return end
  print("SEEN " .. path)
end
fails("/proc/sys/kernel/core_pattern")
fails("/proc/sys/vm/overcommit_memory")
fails("/sys/x")
"""
EVIL = Package(
    "evil",
    tags="Requires: base\nRequires(post): base",
    files=dict.fromkeys(
        ("/etc/dracut.conf.d", "/etc/kernel", "/boot/loader/entries", "/usr/lib/rpm/macros.d", "/var/log"),
        ("%dir %attr(0755, root, root)", ""),
    ),
    sections=LUA,
)
LATE = Package("late", tags="Requires: evil", sections="%post\n: > /var/log/late\n")


class Packages:
    """A served repository of these packages."""

    def __init__(self, room: Path, url: str) -> None:
        self.room, self.url = room, url

    def dnf(self, *names: str) -> tuple[str, dict[str, Any]]:
        """The stage that installs packages from the repository."""
        repos = [{"baseurl": f"{self.url}/main"}]
        return DNF, {"releasever": "43", "basearch": ARCH, "repos": repos, "packages": list(names)}

    def rpm(self, bench: Bench, *names: str, damage: bytes | None = None, before: tuple[Any, ...] = ()) -> Ran:
        """Install package files. damage: replaces the middle of the last one."""
        urls = {}
        for name in names:
            (file,) = (self.room / "www/main").glob(f"{name}-1-1.*.rpm")
            if damage is not None and name == names[-1]:
                data = bytearray(file.read_bytes())
                at = len(data) // 2
                data[at : at + len(damage)] = damage
                file = file.with_name(f"damaged-{name}.rpm")
                file.write_bytes(data)
            urls[f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"] = f"{self.url}/main/{file.name}"
        stages = [*({"name": name, "options": options} for name, options in before)]
        stages.append({"name": RPM, "options": {"packages": list(urls), "dbpath": DBPATH}})
        document = {"pipeline": {"stages": stages}, "sources": {"org.osbuild.files": {"urls": urls}}}
        done = bench.account.runner(*bench.argv("--json"), input=json.dumps(document))
        return Ran(done.returncode, json.loads(done.stdout), done.stderr)


@pytest.fixture(scope="session")
def hostile(scratch_room: Path) -> Iterator[Packages]:
    """The repository, made once."""
    room = scratch_room / "hostile-rpms"
    repository = RpmRepository(room / "www/main", ("base",))
    for one in (base(), EVIL, LATE):
        file = one.build(room / "work" / one.name)
        file.rename(repository.root / file.name)
    repository.publish()
    with served(room / "www") as url:
        yield Packages(room, url)


def assert_harmless(bench: Bench, ran: Ran) -> None:
    """It ended as a build does, and left nothing beside the tree."""
    printed = json.dumps(ran.result) + ran.stderr
    assert ran.returncode in (0, 1), printed
    assert "Traceback" not in printed
    assert "SEEN" not in printed
    argv = ["find", bench.store / "downloads", "-name", "owned", "-o", "-name", "rpmdb*", "-o", "-name", "*.lock"]
    assert subprocess.run(argv, capture_output=True, text=True, check=False).stdout.split() == []


def test_scripts_of_packages_from_a_repository(bench: Bench, hostile: Packages) -> None:
    assert_harmless(bench, bench.run(hostile.dnf("evil", "late")))


def test_scripts_of_package_files(bench: Bench, hostile: Packages) -> None:
    assert_harmless(bench, hostile.rpm(bench, "base", "evil", "late"))


LINKS = (DBPATH[1:], "var/lib/rpm", "var/lib/dnf", "var/cache", "etc/rpm", "var/log")


@pytest.mark.parametrize("path", LINKS)
def test_links_in_a_tree_lead_dnf_nowhere(bench: Bench, hostile: Packages, path: str) -> None:
    code = f"""
import json, os, sys
tree = json.load(sys.stdin)["tree"]
os.makedirs(os.path.dirname(f"{{tree}}/{path}") or tree, exist_ok=True)
os.symlink("{DOWNLOADS}", f"{{tree}}/{path}")
"""
    bench.program("trap", PRELUDE + code, network=True)
    assert_harmless(bench, bench.run("trap", hostile.dnf("base")))


@pytest.mark.parametrize("name", ["proc", "dev", "sys"])
def test_mount_points_that_are_links(bench: Bench, hostile: Packages, name: str) -> None:
    code = f"import json, os, sys\nos.symlink('/usr/share', json.load(sys.stdin)['tree'] + '/{name}')\n"
    bench.program("trap", code)
    ran = bench.run("trap", hostile.dnf("base"))
    assert_harmless(bench, ran)
    assert ran.returncode == 1
    assert f"/{name}" in ran.output()


@pytest.mark.parametrize("damage", [b"\0" * 40, b"\xff" * 2000], ids=["zeroes", "ones"])
def test_a_damaged_package_is_told(bench: Bench, hostile: Packages, damage: bytes) -> None:
    ran = hostile.rpm(bench, "base", "evil", damage=damage)
    assert_harmless(bench, ran)
    assert ran.returncode == 1
    message = ran.result["error"]["message"] + ran.output()
    assert "evil" in message or "is not an RPM package" in message
