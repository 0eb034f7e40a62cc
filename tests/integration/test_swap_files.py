"""A swap file that a script of the blueprint makes can be swapped on, or it is refused for its file system."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.integration.assembling import MIB, Result, assemble
from tests.integration.test_file_systems import IDENTITY, IMAGE, check, run

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="swaps on files of images: needs root")
SIZE = 24 * MIB


def made(tmp_path: Path, *kinds: str) -> Result:
    """File systems of a tree with a swap file that has holes wherever it is zero, as a layer of the store keeps it."""
    tree = tmp_path / "tree"
    (tree / "var").mkdir(parents=True)
    swap = tree / "var/swap file"
    with swap.open("wb") as file:
        file.truncate(SIZE)
    swap.chmod(0o600)
    run("mkswap", "-U", IDENTITY, swap)
    assert swap.stat().st_blocks * 512 < MIB
    (tree / "notes").write_text("hello\n")
    outputs = [{"format": kind, "filename": kind} for kind in kinds]
    return assemble(tree, IMAGE, {"identity": IDENTITY, "outputs": outputs}, tmp_path)


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_the_kernel_swaps_on_it(tmp_path: Path, kind: str) -> None:
    result = made(tmp_path, kind)
    assert result.status == 0, result.log
    image, top = tmp_path / kind, tmp_path / "top"
    check(image, kind)
    assert image.stat().st_blocks * 512 < SIZE  # what is reserved for swapping takes no room in the image
    top.mkdir()
    run("mount", "-o", "loop", image, top)
    try:
        assert (top / "notes").read_text() == "hello\n"
        assert (top / "var/swap file").stat().st_blocks * 512 >= SIZE
        run("swapon", top / "var/swap file")
        shown = run("swapon", "--show=NAME,SIZE", "--bytes", "--noheadings")
        subprocess.run(["swapoff", top / "var/swap file"], check=True)
        assert f"{top}/var/swap" in shown
        assert str(SIZE - 4096) in shown
    finally:
        run("umount", top)


def test_btrfs_refuses_it(tmp_path: Path) -> None:
    result = made(tmp_path, "btrfs")
    assert result.status == 1
    assert "error: /var/swap file is a swap file, and the kernel would refuse it on this btrfs" in result.log
    assert "hint: make a swap partition" in result.log
