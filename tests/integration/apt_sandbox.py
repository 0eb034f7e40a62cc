"""The sandbox that the apt stage gets from the runner, in small: as root, or as root of a user's namespace."""

import hashlib
import json
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from stagelib import chroot

from osbuild_compose.distro.family import host_apt
from runner.store import downloads
from tests.conftest import REPO

NAME = "org.osbuild-compose.apt"
STAGES = Path(__file__).parents[2] / "stages"
META = json.loads((STAGES / f"{NAME}.meta.json").read_text())
EPOCH = 1_700_000_000  # 2023-11-14
DESCRIBE = Path(__file__).with_name("apt_tree.py")
KEYS = REPO / "templates/debian/keys"
SANDBOX_NAME = "sandbox-of-the-stage"  # nothing of it is to be found in trees
RELEASES = ("bookworm", "trixie")
SYSTEM = (
    "systemd-sysv",
    "udev",
    "dbus",
    "libpam-systemd",
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "openssh-server",
)
SERVER = (*SYSTEM, "nginx", "sudo", "locales", "ca-certificates", "apt", "grub-pc-bin", "grub2-common")


@dataclass(frozen=True)
class Result:
    """How the stage ended: its exit status and its log."""

    status: int
    log: str

    @property
    def error(self) -> str:
        """The last lines, from `error:` on."""
        return re.split(r"(?m)^(?=error: )", self.log)[-1]


class Workplace:
    """Where one account runs the stage: trees in memory, downloads shared between all runs."""

    def __init__(self, room: Path, user: str | None) -> None:
        self.room, self.user = room, user
        self.downloads = room / "downloads"
        self.stages = room / "stages"
        shutil.copytree(STAGES, self.stages, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(DESCRIBE, self.stages)
        self._own(room)
        downloads.prepare(self.directory("downloads"))

    def directory(self, name: str) -> Path:
        """A new empty directory of the account's."""
        path = self.room / name
        path.mkdir()
        self._own(path)
        return path

    def _own(self, path: Path) -> None:
        if self.user:
            shutil.chown(path, self.user, pwd.getpwnam(self.user).pw_gid)

    def argv(self, argv: Sequence[str | Path]) -> list[str]:
        """The command as root, or as uid 0 of the user's namespace."""
        texts = [str(one) for one in argv]
        if not self.user:
            return texts
        account = pwd.getpwnam(self.user)
        become = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups", "--"]
        return [*become, "unshare", "--user", "--map-auto", "--map-root-user", "--mount", "--", *texts]

    def run(self, tree: Path, options: dict[str, Any], sources: Sequence[Path] = ()) -> Result:
        """Run the stage on the tree; sources: files that the manifest has as sources."""
        jsonschema.validate(options, META["schema"], jsonschema.Draft7Validator)
        with tempfile.TemporaryDirectory(dir=self.room) as scratch:
            self._own(Path(scratch))
            new = Path(scratch, "new-downloads")
            new.mkdir()
            self._own(new)
            etc = Path(scratch, "etc")
            etc.mkdir()
            for name in ("passwd", "group", "nsswitch.conf", "resolv.conf", "hosts"):
                shutil.copy(f"/etc/{name}", etc)
            shutil.copytree("/etc/ssl/certs", etc / "ssl/certs")
            shutil.copytree("/etc/alternatives", etc / "alternatives", symlinks=True)
            self._own(etc)
            files = Path(scratch, "sources/org.osbuild.files")
            files.mkdir(parents=True)
            for path in sources:
                shutil.copy(path, files / checksum(path))
            self._own(files)
            done = subprocess.run(
                self.argv(self._sandbox(tree, etc, new, files.parent)),
                input=json.dumps({"tree": "/run/osbuild/tree", "options": options}),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            downloads.take_over_downloads(new, self.downloads)
        assert "Traceback" not in done.stdout, done.stdout
        return Result(done.returncode, done.stdout)

    def _sandbox(self, tree: Path, etc: Path, new: Path, sources: Path) -> list[str | Path]:
        argv: list[str | Path] = ["bwrap", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent"]
        argv += ["--hostname", SANDBOX_NAME]
        argv += ["--ro-bind", "/usr", "/usr", "--bind", etc, "/etc", "--proc", "/proc", "--dev", "/dev"]
        for link in ("bin", "sbin", "lib", "lib64"):
            argv += ["--symlink", f"usr/{link}", f"/{link}"]
        argv += ["--tmpfs", "/tmp", "--tmpfs", "/var", "--dir", "/var/tmp", "--tmpfs", "/run"]
        argv += ["--ro-bind", self.stages, "/run/osbuild/lib", "--bind", tree, "/run/osbuild/tree"]
        argv += ["--ro-bind", self.downloads, "/run/osbuild/downloads", "--bind", new, "/run/osbuild/new-downloads"]
        argv += ["--ro-bind", sources, "/run/osbuild/sources"]
        argv += ["--cap-drop", "ALL"]
        for capability in (*chroot.CAPABILITIES, "CAP_NET_BIND_SERVICE", *META["capabilities"]):
            argv += ["--cap-add", capability]
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "HOME": "/root",
            "SOURCE_DATE_EPOCH": str(EPOCH),
            "PYTHONPATH": "/run/osbuild/lib",
        }
        argv += ["--clearenv", *(word for name, value in environment.items() for word in ("--setenv", name, value))]
        return [*argv, "--", f"/run/osbuild/lib/{NAME}"]

    def describe(self, tree: Path, newest: int) -> dict[str, list[Any]]:
        """The tree as apt_tree.describe() has it, seen by the account's own root."""
        argv = self.argv(["/usr/bin/python3", self.stages / DESCRIBE.name, tree, str(newest)])
        entries: dict[str, list[Any]] = json.loads(subprocess.check_output(argv))
        return entries

    def inside(self, tree: Path, *argv: str) -> str:
        """What a program of the tree prints."""
        return subprocess.check_output(
            self.argv(["bwrap", "--bind", tree, "/", "--proc", "/proc", "--dev", "/dev", *argv]), text=True
        )

    def remove(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.room)


def sound(place: Workplace, tree: Path) -> None:
    """dpkg has nothing to complain about, and nothing is left behind that no image should have."""
    assert place.inside(tree, "dpkg", "--audit") == ""
    states = place.inside(tree, "dpkg-query", "-W", "-f=${db:Status-Abbrev}${Package}\n")
    assert [line for line in states.splitlines() if not line.startswith("ii ")] == []
    assert place.inside(tree, "dpkg", "--verify") == ""
    for path in ("usr/sbin/policy-rc.d", "var/lib/dpkg/status-old", "etc/passwd-", "var/cache/ldconfig/aux-cache"):
        assert not (tree / path).exists(), path
    machine_id = tree / "etc/machine-id"
    assert not machine_id.exists() or machine_id.read_bytes() == b""
    assert not list(tree.glob("etc/ssh/ssh_host_*"))
    assert not list(tree.glob("boot/*.dpkg*"))


def checksum(path: Path) -> str:
    """The name of a file among the sources."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def ordinary_user() -> str | None:
    """A user of this machine that has subordinate ids."""
    names = [line.split(":")[0] for line in Path("/etc/subuid").read_text().splitlines()]
    known = {one.pw_name for one in pwd.getpwall()}
    return next((name for name in names if name in known), None)


@cache
def host() -> host_apt.HostApt:
    """What the host's own apt is configured with."""
    return host_apt.read(RELEASES, "debian-archive")


def debian(release: str) -> list[dict[str, Any]]:
    """The host's mirror of a Debian release, as the stage's `repositories`."""

    def keys(*kinds: str) -> list[str]:
        return [(KEYS / f"debian-archive-{name}-{kind}.asc").read_text() for name in RELEASES for kind in kinds]

    common = {"components": ["main"], "check_valid_until": host().check_valid_until}
    return [
        {"url": host().main, "suites": [release, f"{release}-updates"], "keys": keys("automatic", "stable"), **common},
        {"url": host().security, "suites": [f"{release}-security"], "keys": keys("security-automatic"), **common},
    ]


def options(packages: Sequence[str], repositories: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """The stage's options for amd64."""
    return {"architecture": "amd64", "repositories": repositories, "packages": list(packages), **more}


def scratch_room() -> Path:
    """A new directory, in memory when there is enough of it."""
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else "/var/tmp"
    path = Path(tempfile.mkdtemp(prefix="osbuild-compose-apt-", dir=parent))
    path.chmod(0o755)
    return path
