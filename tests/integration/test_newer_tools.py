"""File systems that newer tools fill by themselves, and the same by the ways for older ones: byte for byte."""

import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stagelib import devices
from stagelib.disk import labels

from tests.conftest import REPO
from tests.integration import apt_sandbox
from tests.integration.apt_sandbox import Workplace
from tests.integration.assembling import MIB, Result, assemble, copy
from tests.integration.entries import differences
from tests.integration.test_file_systems import check, expected, fitted, read_back, without_what_is_refused

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="makes trees with owners and devices: needs root"),
    pytest.mark.skipif(not apt_sandbox.host().security, reason="this machine's apt has no Debian mirror"),
]
IMAGE = "org.osbuild-compose.image"
IDENTITY = "9f3e7a50-4d8f-4f8e-8f0a-6c6f7b1f5f10"
EXT4 = "stagelib/disk/filesystems/ext4/make.py"
TOOLS = ("python3", "libpython3-stdlib", "e2fsprogs", "xfsprogs", "btrfs-progs", "squashfs-tools", "erofs-utils")
TOOLS += ("mount", "tar", "libselinux1")
NODES = (("sda", 0o60660, 8, 1), ("big", 0o24640, 300, 70000), ("block", 0o60000, 259, 1000))


@pytest.fixture(scope="module")
def usr() -> Iterator[Path]:
    """The /usr of Debian unstable: mke2fs 1.47.1 or newer, mkfs.xfs 6.17 or newer."""
    place = Workplace(apt_sandbox.scratch_room(), None)
    try:
        root = place.directory("root")
        repositories = [{**apt_sandbox.debian("trixie")[0], "suites": ["sid"]}]
        done = place.run(root, apt_sandbox.options(TOOLS, repositories))
        if done.status != 0:
            pytest.skip(f"Debian unstable cannot be installed here: {done.error}")
        yield root / "usr"
    finally:
        place.remove()


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stages that take every mke2fs for an old one."""
    made = tmp_path_factory.mktemp("older") / "stages"
    shutil.copytree(REPO / "stages", made, ignore=shutil.ignore_patterns("__pycache__"))
    text = (made / EXT4).read_text()
    assert "LIMITS_TIMES = (1, 47, 1)" in text
    (made / EXT4).write_text(text.replace("LIMITS_TIMES = (1, 47, 1)", "LIMITS_TIMES = (99,)"))
    return made


def run(tree: Path, kind: str, out: Path, usr: Path, stages: Path = REPO / "stages", **more: Any) -> Result:
    outputs = [{"format": kind, "filename": kind, **more}]
    return assemble(tree, IMAGE, {"identity": IDENTITY, "outputs": outputs}, out, usr=usr, stages=stages)


def make(tree: Path, kind: str, out: Path, usr: Path, **more: Any) -> str:
    """Make a file system; returns its digest."""
    done = run(tree, kind, out, usr, **more)
    assert done.status == 0, done.log
    with (out / kind).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def without(tree: Path, target: Path, pattern: str, *, backwards: bool = False, acls: bool = True) -> Path:
    """A copy of the tree without the files whose names match the pattern, perhaps without ACLs."""
    copy(tree, target, backwards=backwards)
    if not acls:
        subprocess.run(["setfacl", "--recursive", "--remove-all", "--physical", target], check=True)
    left_out = list(target.rglob(pattern))
    assert left_out
    for path in left_out:
        path.unlink()
        os.utime(path.parent, ns=(5, (tree / path.parent.relative_to(target)).stat().st_mtime_ns))
    return target


@pytest.mark.parametrize("kind", ["tree", "labelled"])
def test_ext4_has_the_same_bytes_by_both_ways(
    request: pytest.FixtureRequest, tmp_path: Path, usr: Path, older: Path, kind: str
) -> None:
    """debugfs takes no names with a line break, for which there is only the old way."""
    source = without(request.getfixturevalue(kind), tmp_path / "tree", "*\n*")
    new = make(source, "ext4", tmp_path / "new", usr)
    assert new == make(source, "ext4", tmp_path / "old", usr, stages=older)
    other = without(request.getfixturevalue(kind), tmp_path / "other", "*\n*", backwards=True)
    assert new == make(other, "ext4", tmp_path / "copy", usr)
    check(tmp_path / "new/ext4", "ext4")
    wanted = labels.of_tree(str(source))
    assert differences(expected(source, wanted), read_back(tmp_path / "new/ext4", "ext4")) == []


def test_ext4_holds_names_with_a_line_break(labelled: Path, tmp_path: Path, usr: Path) -> None:
    make(labelled, "ext4", tmp_path, usr)
    wanted = labels.of_tree(str(labelled))
    assert differences(expected(labelled, wanted), read_back(tmp_path / "ext4", "ext4")) == []


@pytest.mark.parametrize("kind", ["tree", "labelled"])
def test_xfs_is_filled_by_mkfs_xfs(request: pytest.FixtureRequest, tmp_path: Path, usr: Path, kind: str) -> None:
    source = without(request.getfixturevalue(kind), tmp_path / "tree", "null", acls=False)
    done = run(source, "xfs", tmp_path / "a", usr)
    assert done.status == 0, done.log
    assert "note:" not in done.log
    other = without(request.getfixturevalue(kind), tmp_path / "other", "null", backwards=True, acls=False)
    assert make(source, "xfs", tmp_path / "b", usr) == make(other, "xfs", tmp_path / "c", usr)
    assert (tmp_path / "a/xfs").read_bytes() == (tmp_path / "b/xfs").read_bytes()
    check(tmp_path / "a/xfs", "xfs")
    assert (tmp_path / "a/xfs").stat().st_blocks * 512 < 16 * MIB
    wanted = labels.of_tree(str(source))
    assert differences(expected(source, wanted), read_back(tmp_path / "a/xfs", "xfs")) == []


def test_xfs_is_filled_without_mkfs_xfs_where_that_loses_something(tree: Path, tmp_path: Path, usr: Path) -> None:
    done = run(tree, "xfs", tmp_path, usr)
    assert done.status == 0, done.log
    assert "note: mkfs.xfs cannot copy the device node /dev/null, so the file system is filled without it" in done.log
    assert differences(expected(tree, {}), read_back(tmp_path / "xfs", "xfs")) == []
    source = without(tree, tmp_path / "tree", "null")
    done = run(source, "xfs", tmp_path / "acls", usr)
    assert "note: mkfs.xfs cannot copy the ACL of /" in done.log
    assert differences(expected(source, {}), read_back(tmp_path / "acls/xfs", "xfs")) == []


def test_a_tree_that_does_not_fit_is_refused(tmp_path: Path, usr: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/large").write_bytes(os.urandom(MIB) * 320)
    done = run(tmp_path / "tree", "xfs", tmp_path / "out", usr, size=300 * MIB)
    assert done.status == 1
    assert "error: the tree does not fit: it has 320.0 MiB in 2 files and directories" in done.log
    assert subprocess.run(["ls", "-A", tmp_path / "out"], capture_output=True, check=True).stdout == b""


def with_nodes(tree: Path, real: Path, placeholders: Path) -> None:
    """Copies of the tree with device nodes, and with their placeholders."""
    for target in (real, placeholders):
        copy(tree, target)
        (target / "dev/null").unlink()
        for number, (name, mode, *numbers) in enumerate((*NODES, ("null", 0o20666, 1, 3))):
            path = target / "dev" / name
            if target is real:
                os.mknod(path, mode, os.makedev(*numbers))
            else:
                path.touch()
                kind = "c" if stat.S_ISCHR(mode) else "b"
                os.setxattr(path, devices.XATTR, devices.Device(kind, *numbers).attribute)
            os.chown(path, number, 7)
            path.chmod(stat.S_IMODE(mode))
            os.utime(path, (1, 1_600_000_000 + number))
        os.utime(target / "dev", (1, 1_500_000_000))


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "squashfs", "erofs"])
@pytest.mark.parametrize("which", ["tree", "labelled"])
def test_placeholders_become_device_nodes(
    request: pytest.FixtureRequest, tmp_path: Path, usr: Path, which: str, kind: str
) -> None:
    source = without_what_is_refused(request.getfixturevalue(which), kind, tmp_path / "source")
    real, placeholders = tmp_path / "real", tmp_path / "placeholders"
    with_nodes(source, real, placeholders)
    make(placeholders, kind, tmp_path / "a", usr)
    check(tmp_path / "a" / kind, kind)
    wanted = fitted(expected(real, labels.of_tree(str(real))), kind)
    assert differences(wanted, fitted(read_back(tmp_path / "a" / kind, kind), kind)) == []


def test_device_nodes_of_ext4_have_the_same_bytes_by_both_ways(
    tree: Path, tmp_path: Path, usr: Path, older: Path
) -> None:
    source = without(tree, tmp_path / "source", "*\n*")
    with_nodes(source, tmp_path / "real", tmp_path / "placeholders")
    new = make(tmp_path / "placeholders", "ext4", tmp_path / "new", usr)
    assert new == make(tmp_path / "placeholders", "ext4", tmp_path / "old", usr, stages=older)
    assert new == make(tmp_path / "real", "ext4", tmp_path / "of-real", usr)
