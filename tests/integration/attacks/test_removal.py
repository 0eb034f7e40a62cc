"""Removing a tree never touches what is mounted in it, follows no symlink and ends whatever the depth."""

from pathlib import Path

import pytest

from tests.conftest import REPO, Account

# Runs in a mount namespace of its own, in the directory of its argument, as root of that namespace.
SCRIPT = """
import errno, os, subprocess, sys
from pathlib import Path
from runner.errors import RunnerError
from runner.store import directories

def mount(*words): subprocess.run(["mount", *words], check=True)
def refused(path):
    try:
        directories.remove_tree(Path(path))
    except RunnerError as error:
        return error.message
    return "removed"

if sys.argv[2] == "without openat2":
    def missing(*_words, **_named): raise OSError(errno.ENOSYS, "not there")
    directories.syscalls.openat2 = missing
os.chdir(sys.argv[1])
os.makedirs("precious/below"); Path("precious/below/file").write_text("kept"); Path("precious/one").write_text("kept")
os.makedirs("tree/a/b/c")
"""
FINISH = """
assert Path("precious/below/file").read_text() == Path("precious/one").read_text() == "kept"
"""
WAYS = {
    "a bind mount of the same file system": """
mount("--bind", "precious", "tree/a/b/c")
assert "tree/a/b/c is a mount point" in refused("tree"), refused("tree")
mount("--bind", "precious/below", "tree/a")
assert "tree/a is a mount point" in refused("tree")
""",
    "the directory itself": """
mount("--bind", "precious", "tree")
assert "tree is a mount point" in refused("tree")
""",
    "the directory on itself": """
mount("--bind", "precious", "precious")
assert "precious is a mount point" in refused("precious")
""",
    "a file": """
Path("tree/a/file").touch()
mount("--bind", "precious/one", "tree/a/file")
assert "tree/a/file is a mount point" in refused("tree")
Path("single").touch()
mount("--bind", "precious/one", "single")
assert "single is a mount point" in refused("single")
""",
    "another file system": """
mount("-t", "tmpfs", "none", "tree/a/b")
Path("tree/a/b/file").touch()
assert "tree/a/b is a mount point" in refused("tree")
assert Path("tree/a/b/file").exists()
""",
    "symlinks": """
os.symlink("../precious", "tree/link"); os.symlink("/", "tree/a/root"); os.symlink("precious", "alone")
assert refused("tree") == "removed" and not os.path.lexists("tree")
assert refused("alone") == "removed" and not os.path.lexists("alone")
""",
    "what is no directory": """
os.mkfifo("tree/fifo"); os.mkfifo("pipe"); os.chmod("tree/a/b", 0); os.chmod("tree", 0o555)
for name in ("tree", "pipe", "missing", "precious/one/below"):
    assert refused(name) == "removed" and not os.path.lexists(name)
""",
    "a deep tree": """
fd = os.open("tree", os.O_RDONLY)
for number in range(5000):
    os.mkdir("d" * 200, dir_fd=fd)
    below = os.open("d" * 200, os.O_RDONLY, dir_fd=fd); os.close(fd); fd = below
os.close(fd)
assert refused("tree") == "removed" and not os.path.lexists("tree")
""",
}


@pytest.mark.parametrize("how", ["with openat2", "without openat2"])
@pytest.mark.parametrize("way", WAYS)
def test_removing_stays_inside(account: Account, place: Path, way: str, how: str) -> None:
    enter = ["unshare", "--mount"] if account.is_root else ["unshare", "--user", "--map-auto", "--map-root-user", "-m"]
    code = SCRIPT + WAYS[way] + FINISH
    done = account.run([*enter, account.python, "-c", code, place, how])
    assert done.returncode == 0, done.stdout + done.stderr


STAGES = """
import os, subprocess, sys
from pathlib import Path
from stagelib import removal
from stagelib.disk import output
from stagelib.errors import StageError

def refused(path):
    try:
        removal.remove_tree(path)
    except StageError as error:
        return error.message
    return "removed"

os.chdir(sys.argv[1])
output.SCRATCH = "."
os.makedirs("precious/below"); Path("precious/below/file").write_text("kept"); os.makedirs("tree/a/b")
bind = ["mount", "--bind", "precious"]
subprocess.run([*bind, "tree/a/b"], check=True)
assert "b in tree is a mount point" in refused("tree"), refused("tree")
os.mkdir("itself")
subprocess.run([*bind, "itself"], check=True)
assert "itself in itself is a mount point" in refused("itself"), refused("itself")
try:
    with output.scratch() as work:  # as when a part of the tree that was bound there cannot be unmounted
        os.mkdir(work + "/part")
        subprocess.run([*bind, work + "/part"], check=True)
except StageError as error:
    assert "part in " in error.message
else:
    raise AssertionError("the mount was not noticed")
os.makedirs("deep/x"); os.symlink("../precious", "deep/link"); os.mkfifo("deep/x/fifo")
fd = os.open("deep", os.O_RDONLY)
for number in range(3000):
    os.mkdir("d" * 200, dir_fd=fd)
    below = os.open("d" * 200, os.O_RDONLY, dir_fd=fd); os.close(fd); fd = below
os.close(fd)
assert refused("deep") == "removed" and not os.path.lexists("deep")
assert refused("deep") == "removed"
assert Path("precious/below/file").read_text() == "kept"
"""


def test_stages_remove_as_carefully(account: Account, place: Path) -> None:
    enter = ["unshare", "--mount"] if account.is_root else ["unshare", "--user", "--map-auto", "--map-root-user", "-m"]
    find = "import runner.programs; print(runner.programs.builtin() / 'stages')"
    stages = account.run([account.python, "-c", find], check=True).stdout.strip()
    done = account.run([*enter, account.python, "-c", STAGES, place], env={"PYTHONPATH": stages})
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_but_these_ways_removes_trees() -> None:
    """shutil.rmtree, and tempfile.TemporaryDirectory at its end, walk into mounts; rm into those of its file system."""
    allowed = {
        "osbuild_compose/boot/machine.py",  # files of a virtual machine, in a directory that was made for them
        "osbuild_compose/distro/keys.py",  # gpg's home
        "osbuild_compose/runner_client.py",  # pipelines
    }
    found = set()
    for top in ("runner", "stages", "assemblers", "osbuild_compose"):
        for path in sorted((REPO / top).rglob("*")):
            if path.is_file() and path.suffix in ("", ".py") and "__pycache__" not in path.parts:
                text = path.read_text()
                if any(word in text for word in ("rmtree(", "TemporaryDirectory(", "removedirs(")):
                    found.add(str(path.relative_to(REPO)))
                assert '"rm", "-rf"' not in text or '"--one-file-system"' in text, path
    assert found == allowed
