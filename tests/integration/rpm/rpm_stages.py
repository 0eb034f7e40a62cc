"""Running the RPM stages through the runner on small repositories, and looking into the trees that they make."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.integration.rpm.packages import NEWER, PACKAGES, UNSIGNED, base
from tests.integration.rpm.repository import ARCH, Key, RpmRepository
from tests.integration.runner.conftest import Bench
from tests.standin import served

DNF = "org.osbuild.dnf"
CORE = ("base", "docs")
# A stage that runs a test's Python in the sandbox, as the tree's owner, and tells what it found.
LOOK = r"""
import json, os, stat, subprocess, sqlite3, sys
arguments = json.load(sys.stdin)
tree, found = arguments["tree"], {}
def text(path):
    with open(tree + path) as file:
        return file.read()
def rpm(*argv):
    return subprocess.check_output(["rpm", "--root", tree, *argv], text=True)
def names(path):
    return sorted(os.listdir(tree + path)) if os.path.isdir(tree + path) else None
exec(arguments["options"]["code"])
print("FOUND", json.dumps(found, indent=0))  # in many lines: the log cuts long ones
"""


# What is to be found of the package "nodes".
NODES = """
found['nodes'] = {}
for name in ("dev/null", "dev/sda", "dev/later", "empty"):
    path = tree + "/srv/chroot/" + name
    if os.path.lexists(path):
        info = os.lstat(path)
        value = os.getxattr(path, "user.osbuild-compose.device").decode() if os.listxattr(path) else ""
        found['nodes'][name] = [value, info.st_mode, info.st_uid, info.st_gid, info.st_size]
"""
FOUND = {"dev/null": ["c 1 3", 0o100666, 0, 0, 0], "dev/sda": ["b 8 1", 0o100640, 48, 48, 0]}
FOUND |= {"empty": ["", 0o100755, 0, 0, 0]}


@dataclass(frozen=True)
class Repositories:
    """The small repository `main`, and `newer` with one package of a newer version, served below `url`.

    key signed all packages but one; foreign is a key that nobody trusts.
    """

    room: Path
    url: str
    key: Key
    foreign: Key

    @property
    def main(self) -> RpmRepository:
        """All packages, signed by `key`, but one."""
        return RpmRepository(self.room / "www/main", CORE)

    def variant(self, name: str) -> RpmRepository:
        """A copy of the repository for a test to damage, without metadata until it is published."""
        return self.main.copy(self.room / "www" / name)

    def repo(self, name: str = "main", **more: Any) -> dict[str, Any]:
        """The repository as the stage's options have it; None leaves a key out."""
        options = {"baseurl": f"{self.url}/{name}", "gpgkey": self.key.armoured, **more}
        return {key: value for key, value in options.items() if value is not None}


@contextmanager
def repositories(room: Path) -> Iterator[Repositories]:
    """Build and serve it; everything is in the empty directory `room`."""
    key, foreign = Key(room / "key"), Key(room / "foreign")
    repository = RpmRepository(room / "www/main", CORE)
    built = [one.with_text("KEY", foreign.armoured).build(room / "work" / one.name) for one in (base(), *PACKAGES)]
    key.sign(*built)
    for file in (*built, UNSIGNED.build(room / "work" / UNSIGNED.name)):
        file.rename(repository.root / file.name)
    repository.publish()
    newer = repository.copy(room / "www/newer")
    file = NEWER.build(room / "work/newer")
    key.sign(file)
    file.rename(newer.root / file.name)
    newer.publish()
    with served(room / "www") as url:
        yield Repositories(room, url, key, foreign)


def options(packages: list[str], *repos: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Options of the stage, in the form of 2019."""
    return {"releasever": "30", "basearch": ARCH, "repos": list(repos), "packages": packages, **more}


def look(bench: Bench, stages: list[Any], code: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Build a tree by the stages; returns what the Python in `code` puts into the dict `found`.

    The code sees `tree` and the functions text(path), names(path) and rpm(argument...).
    """
    bench.program("look", LOOK)
    ran = bench.run(*stages, ("look", {"code": code}), env=env)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.output().partition("FOUND ")[2])
    return found


def layers(bench: Bench, name: str = DNF) -> set[Path]:
    """The layers in the store that a stage made."""
    found = (path for path in bench.store.glob("layers/*.json") if json.loads(path.read_text())["name"] == name)
    return {path.with_suffix(".tar.zst") for path in found}
