"""A blueprint's tree, made by the product, and the tree's own programs run in it."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import REPO, TIDY, store_of

KEYS = Path(__file__).parent / "keys"
STORE = store_of("root")


@dataclass(frozen=True)
class Tree:
    """The root directory of a system that does not run."""

    root: Path

    def sh(self, script: str, *, status: int = 0) -> str:
        """What the script prints in the tree, its errors included; it has to end with the status."""
        argv = ["bwrap", "--bind", str(self.root), "/", "--proc", "/proc", "--dev", "/dev"]
        argv += ["--tmpfs", "/run", "--tmpfs", "/tmp", "--unshare-pid", "--unshare-net", "--unshare-ipc"]
        argv += ["--unshare-uts", "--die-with-parent", "--cap-add", "ALL", "--clearenv"]
        for name, value in (("PATH", "/usr/sbin:/usr/bin"), ("LC_ALL", "C.UTF-8"), ("SYSTEMD_OFFLINE", "1")):
            argv += ["--setenv", name, value]
        done = subprocess.run(
            [*argv, "/bin/sh", "-c", script],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    def text(self, path: str) -> str:
        """The text of a file."""
        return (self.root / path.lstrip("/")).read_text()


@contextmanager
def built(blueprint: Path, *arguments: str) -> Iterator[Tree]:
    """The tree of a blueprint whose format is tar, built by root; removed at the end of the block."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="osbuild-compose-keys-") as directory:
        place = Path(directory)
        argv = [sys.executable, "-m", "osbuild_compose", "build", str(blueprint), "-o", "out", "--store", str(STORE)]
        done = subprocess.run(
            [*argv, *arguments],
            cwd=place,
            env={**os.environ, "PYTHONPATH": str(REPO), "TERM": "dumb", "XDG_CACHE_HOME": str(place / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (image,) = done.stdout.split()
        tree = place / "tree"
        tree.mkdir()
        subprocess.run(["tar", "-C", str(tree), "-xf", image, "--numeric-owner", "--xattrs"], check=True)
        yield Tree(tree)
        subprocess.run([sys.executable, "-c", TIDY, STORE], check=True, env={**os.environ, "PYTHONPATH": str(REPO)})


def compression_of(initramfs: Path) -> bytes:
    """The first bytes of an initramfs's last part, after the cpio archives that are not compressed."""
    data = initramfs.read_bytes()
    position = 0
    while data[position : position + 6] == b"070701":
        position = data.index(b"TRAILER!!!", position)
        position += len(b"TRAILER!!!")
        while data[position : position + 1] == b"\0":
            position += 1
    return data[position : position + 6]
