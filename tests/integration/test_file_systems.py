"""Each file system holds a whole tree: read by the kernel, or its own tools, and compared entry by entry."""

import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from stagelib.disk import labels

from tests.integration.assembling import MIB, assemble, copy
from tests.integration.entries import Entry, differences, entries

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


def make(tree: Path, out: Path, *kinds: str, **more: Any) -> None:
    outputs = [{"format": kind, "filename": kind, **more} for kind in kinds]
    result = assemble(tree, IMAGE, {"identity": IDENTITY, "outputs": outputs}, out)
    assert result.status == 0, result.log


def run(*argv: str | Path) -> str:
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True)
    assert done.returncode == 0, done.stdout
    return done.stdout


def check(image: Path, kind: str) -> None:
    run(*CHECKS[kind], image)


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


def free_extents(image: Path, kind: str) -> list[tuple[int, int]]:
    """What the file system's own tool calls free: first block of 4 KiB, and how many."""
    if kind == "ext4":
        told = run("dumpe2fs", image)
        found = re.findall(
            r"(?<=[:,] )(\d+)(?:-(\d+))?(?=[,\n])", "\n".join(re.findall("  Free blocks: .*", told)) + "\n"
        )
        return [(int(first), int(last or first) - int(first) + 1) for first, last in found]
    blocks = int(run("xfs_db", "-r", "-c", "sb 0", "-c", "print agblocks", image).split("=")[1])
    told = run("xfs_db", "-r", "-c", "freesp -d", image)
    found = re.findall(r"^ +(\d+) +(\d+) +(\d+)$", told, re.MULTILINE)
    return [(int(group) * blocks + int(first), int(count)) for group, first, count in found]


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_free_blocks_hold_nothing(tree: Path, tmp_path: Path, kind: str) -> None:
    make(tree, tmp_path, kind)
    extents = free_extents(tmp_path / kind, kind)
    assert sum(count for _, count in extents) * 4096 > 32 * MIB
    with (tmp_path / kind).open("rb") as file:
        for first, count in extents:
            file.seek(first * 4096)
            assert not any(file.read(count * 4096)), first


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30,000 files (or COMPOSE_TEST_ENTRIES), one of more than 4 GiB, one of many holes, a path of 3,000 bytes."""
    made = tmp_path_factory.mktemp("large") / "tree"
    for number in range(100):
        (made / f"many/{number}").mkdir(parents=True)
    for number in range(int(os.environ.get("COMPOSE_TEST_ENTRIES", "30000"))):
        (made / f"many/{number % 100}" / f"{number}-{'x' * (number % 60)}").touch()
    with (made / "huge").open("wb") as file:
        file.truncate(5 << 30)
        file.seek(4500 * MIB)
        file.write(b"end" * 100_000)
    with (made / "holes").open("wb") as file:
        for number in range(6000):
            file.seek(number * 131_072)
            file.write(b"h")
    deep = made
    for _ in range(60):
        deep = deep / ("d" * 49)
        deep.mkdir()
    (deep / "file").write_text("deep")
    return made


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_many_and_large_files_are_in_it(large: Path, tmp_path: Path, kind: str) -> None:
    make(large, tmp_path, kind)
    check(tmp_path / kind, kind)
    assert (tmp_path / kind).stat().st_blocks * 512 < 256 * MIB
    with mounted(tmp_path / kind, kind) as top:
        assert outline(top) == outline(large)


def test_a_btrfs_of_many_files_is_as_large_as_it_says(tmp_path: Path) -> None:
    """mkfs.btrfs makes it larger than the file that it is given; the kernel mounts none that is cut off."""
    many = tmp_path / "tree/many"
    many.mkdir(parents=True)
    for number in range(12_000):
        (many / str(number)).touch()
    make(tmp_path / "tree", tmp_path / "out", "btrfs", free=MIB)
    image = tmp_path / "out/btrfs"
    told = run("btrfs", "inspect-internal", "dump-super", image)
    assert re.search(r"^total_bytes\s+(\d+)", told, re.MULTILINE)[1] == str(image.stat().st_size)  # type: ignore[index]
    options = {"identity": IDENTITY, "outputs": [{"format": "btrfs", "filename": "small", "size": 256 * MIB}]}
    result = assemble(tmp_path / "tree", IMAGE, options, tmp_path / "none")
    assert result.status == 1
    assert "429.0 MiB large: 173.0 MiB more than there is for it" in result.log


def outline(top: Path) -> tuple[set[str], dict[str, int], list[str]]:
    """The names of all files, the sizes of the large ones, and digests of what can be read in a moment."""
    names = {str(Path(above, name).relative_to(top)) for above, _, found in os.walk(top) for name in found}
    with (top / "huge").open("rb") as file:
        file.seek(4500 * MIB - 4096)
        end = hashlib.sha256(file.read(MIB)).hexdigest()
    holes = hashlib.sha256((top / "holes").read_bytes()).hexdigest()
    return names, {name: (top / name).stat().st_size for name in ("huge", "holes")}, [end, holes]
