"""Each file system holds a whole tree: read by the kernel, or its own tools, and compared entry by entry."""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from assembling import MIB, POLICY, assemble, copy, label, make_difficult_tree
from entries import Entry, differences, entries
from stagelib.disk import labels

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes trees with owners and devices: needs root")

IMAGE = "org.osbuild-compose.image"
IDENTITY = "9f3e7a50-4d8f-4f8e-8f0a-6c6f7b1f5f10"
CHECKS = {
    "ext4": ["e2fsck", "-fn"],
    "xfs": ["xfs_repair", "-n", "-f"],
    "btrfs": ["btrfs", "check", "--readonly"],
    "squashfs": ["unsquashfs", "-s"],
    "erofs": ["fsck.erofs"],
}
KINDS = tuple(CHECKS)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("difficult") / "tree"
    made.mkdir()
    make_difficult_tree(made)
    return made


@pytest.fixture(scope="module")
def labelled(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("labelled") / "tree"
    copy(tree, made)
    label(made, POLICY)
    return made


def make(tree: Path, out: Path, *kinds: str, **more: Any) -> None:
    outputs = [{"format": kind, "filename": kind, **more} for kind in kinds]
    result = assemble(tree, IMAGE, {"identity": IDENTITY, "outputs": outputs}, out)
    assert result.status == 0, result.log


def check(image: Path, kind: str) -> None:
    done = subprocess.run([*CHECKS[kind], image], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout.decode()


def read_back(image: Path, kind: str) -> dict[str, Entry]:
    """What the kernel finds in the file system. XFS shows an ACL once more, by the name it has on disk."""
    with mounted(image, kind) as top:
        return {
            name: replace(entry, attributes=tuple(one for one in entry.attributes if "SGI_ACL" not in one[0]))
            for name, entry in entries(top).items()
        }


@contextmanager
def mounted(image: Path, kind: str) -> Iterator[Path]:
    """The file system, read by the kernel."""
    with tempfile.TemporaryDirectory(prefix="mounted-") as top:
        # norecovery, noload: what was made needs nothing replayed, or it is not read.
        options = {"xfs": ",norecovery,nouuid", "ext4": ",noload"}.get(kind, "")
        mount = ["mount", "-t", kind, "-o", f"loop,ro{options}", image, top]
        done = subprocess.run(mount, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            pytest.skip(f"{kind} cannot be mounted here: {done.stdout.decode()}")
        try:
            yield Path(top)
        finally:
            subprocess.run(["umount", top], check=True)


def expected(tree: Path, wanted: dict[str, str]) -> dict[str, Entry]:
    """What an image of the tree holds: the labels that are wanted, not those of the machine where it was made."""
    made = {}
    for name, entry in entries(tree).items():
        path = "/" if name == "." else f"/{name}"
        own = [pair for pair in entry.attributes if pair[0] != labels.XATTR]
        own += [(labels.XATTR, labels.value(wanted[path]))] if path in wanted else []
        made[name] = replace(entry, attributes=tuple(sorted(own)))
    return {name: entry for name, entry in made.items() if name != ".osbuild-compose-labels.json"}


def fitted(found: dict[str, Entry], kind: str) -> dict[str, Entry]:
    """What the file system, or the tool of this machine that makes it, has room for."""
    if kind == "squashfs":  # of attributes only user's, trusted's and security's
        return {
            name: replace(one, attributes=tuple(pair for pair in one.attributes if not pair[0].startswith("system.")))
            for name, one in found.items()
        }
    if kind == "erofs":  # times are the build's; erofs-utils 1.5 takes lost+found for the source's own
        return {name: replace(one, mtime=0) for name, one in found.items() if name != "lost+found"}
    return found


def without_what_is_refused(tree: Path, kind: str, target: Path) -> Path:
    """The tree as it is or, for a tool that cannot make all of it, a copy of what it can make."""
    if kind != "erofs":
        return tree
    copy(tree, target)
    for long in target.glob("n" * 255):  # erofs-utils 1.5
        long.unlink()
    os.utime(target, ns=(5, tree.stat().st_mtime_ns))
    return target


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_a_tree_is_in_it(tree: Path, tmp_path: Path, kind: str) -> None:
    source = without_what_is_refused(tree, kind, tmp_path / "tree")
    make(source, tmp_path, kind, **({"compression": "lz4hc"} if kind == "erofs" else {}))
    check(tmp_path / kind, kind)
    assert differences(fitted(expected(source, {}), kind), fitted(read_back(tmp_path / kind, kind), kind)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_in_it(labelled: Path, tmp_path: Path, kind: str) -> None:
    source = without_what_is_refused(labelled, kind, tmp_path / "tree")
    make(source, tmp_path, kind)
    check(tmp_path / kind, kind)
    wanted = fitted(expected(source, labels.of_tree(str(source))), kind)
    assert differences(wanted, fitted(read_back(tmp_path / kind, kind), kind)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_copy_of_the_tree_elsewhere_gives_the_same_bytes(labelled: Path, tmp_path: Path, kind: str) -> None:
    """The copy's files lie in memory, were made in another order, and have no holes where that is not to matter."""
    source = without_what_is_refused(labelled, kind, tmp_path / "tree")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        other = Path(memory) / "tree"
        # mksquashfs and newer mkfs.btrfs keep holes for holes, and do not look for zeroes elsewhere.
        copy(source, other, backwards=True, sparse="auto" if kind in ("btrfs", "squashfs") else "never")
        for number, one in enumerate((source, other)):
            make(one, tmp_path / str(number), kind)
    digests = {hashlib.sha256((tmp_path / f"{number}/{kind}").read_bytes()).hexdigest() for number in range(2)}
    assert len(digests) == 1
    if kind != "erofs":  # which has no holes
        assert (tmp_path / f"0/{kind}").stat().st_blocks * 512 < 16 * MIB
