"""Every format of org.osbuild-compose.image, looked at as its users would.

It is sound, has the same disk or files in it, and takes no more of the machine's disk than its data do.
"""

import filecmp
import json
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from stagelib.disk.formats.registry import FORMATS

from tests.integration.assembling import MIB, assemble, copy

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes trees with owners: needs root")

GIB = 1024 * MIB
DATA = 2 * MIB  # that cannot be compressed
HOLE = 64 * MIB
LARGEST = 32 * MIB  # blocks of any image; a file system has a journal and tables
IDENTITY = "9f3e7a50-4d8f-4f8e-8f0a-6c6f7b1f5f10"
ROOT = {
    "type": "linux",
    "grow": True,
    "filesystem": {"type": "ext4", "uuid": "76a22bf4-f153-4541-b6c7-0332c0dfaeac", "mountpoint": "/"},
}
DISK = {"table": "dos", "uuid": "cb9bd3f4-1f5d-4a0e-9a68-6d1d6ab9d3c2", "size": GIB, "partitions": [ROOT]}
MORE = {
    "ova": {"name": "web"},
    "iso": {"label": "live"},
    "oci-archive": {"architecture": "x86_64"},
    "xfs": {"size": 512 * MIB},
    "btrfs": {"size": 512 * MIB},
}
# What is left of an image, and what reads it, in a shell: $image, and $raw for the disk that is in it.
COMPARED = "qemu-img compare -f raw -F {kind} $raw $image"
CHECKED = {
    "raw": "sfdisk --verify $image | grep 'No errors' && e2fsck -fn $image?offset=1048576",
    "raw.xz": "xz -dc $image | cmp - $raw",
    "raw.zst": "zstd -dc $image | cmp - $raw",
    "qcow2": "qemu-img check -f qcow2 $image && " + COMPARED.format(kind="qcow2"),
    "vdi": "qemu-img check -f vdi $image && " + COMPARED.format(kind="vdi"),
    "vmdk": "qemu-img check -f vmdk $image && " + COMPARED.format(kind="vmdk"),
    "vhdx": "qemu-img check -f vhdx $image && " + COMPARED.format(kind="vhdx"),
    "vpc": COMPARED.format(kind="vpc"),
    "ova": "tar -xf $image && sed -E 's/SHA256.(.*).= (.*)/\\2  \\1/' web.mf | sha256sum --check --strict && "
    + COMPARED.format(kind="vmdk").replace("$image", "web.vmdk"),
    # The old GNU form has "ustar" and two spaces where POSIX has a version.
    "gce": "gzip -dc $image > plain && dd if=plain bs=1 skip=257 count=8 status=none | grep -qF 'ustar  '"
    " && tar -xSf plain && cmp disk.raw $raw",
    "tar": "tar -tf $image",
    "tar.gz": "tar -tzf $image",
    "tar.xz": "tar -tJf $image",
    "tar.zst": "tar --zstd -tf $image",
    "wsl": "tar -tzf $image",
    "oci-archive": "skopeo inspect oci-archive:$image:latest",
    "cpio": "cpio -it --quiet < $image",
    "cpio.gz": "gzip -dc $image | cpio -it --quiet",
    "cpio.xz": "xz -dc $image | cpio -it --quiet && xz -l -v $image | grep CRC32",
    "cpio.zst": "zstd -dc $image | cpio -it --quiet",
    "ext4": "e2fsck -fn $image",
    "xfs": "xfs_repair -n -f $image",
    "btrfs": "btrfs check --readonly $image",
    "squashfs": "unsquashfs -s $image && unsquashfs -lc $image",
    "erofs": "fsck.erofs $image",
    "iso": "xorriso -indev $image -check_media -- -report_el_torito plain",
    "pxe": "tar -tf $image",
}
LISTED = ("tar", "tar.gz", "tar.xz", "tar.zst", "wsl", "cpio", "cpio.gz", "cpio.xz", "cpio.zst", "squashfs")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree with a large hole."""
    tree = tmp_path_factory.mktemp("sparse") / "tree"
    for directory in ("boot", "etc", "usr/lib/live/boot", "var"):
        (tree / directory).mkdir(parents=True)
    (tree / "boot/vmlinuz-6.1").write_text("kernel")
    (tree / "boot/initrd.img-6.1").write_text("initramfs")
    (tree / "etc/hostname").write_text("sparse\n")
    with (tree / "var/hole").open("wb") as file:
        file.seek(HOLE)
        file.write(os.urandom(DATA))
    return tree


@pytest.fixture(scope="module")
def images(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of each format, called by it."""
    out = tmp_path_factory.mktemp("all")
    make(tree, out)
    return out


def make(tree: Path, out: Path) -> None:
    outputs = [{"format": name, "filename": name, **MORE.get(name, {})} for name in FORMATS]
    result = assemble(tree, "org.osbuild-compose.image", {"identity": IDENTITY, "disk": DISK, "outputs": outputs}, out)
    assert result.status == 0, result.log


def test_a_copy_of_the_tree_in_memory_gives_the_same_bytes(tree: Path, images: Path, tmp_path: Path) -> None:
    """Its directories list files in another order, and its files have other numbers."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        copy(tree, Path(memory) / "tree", backwards=True)
        make(Path(memory) / "tree", tmp_path)
    assert [name for name in FORMATS if not filecmp.cmp(images / name, tmp_path / name, shallow=False)] == []


def test_there_is_a_check_for_each_format() -> None:
    assert set(CHECKED) == set(FORMATS)


@pytest.mark.parametrize("name", CHECKED)
def test_the_format_is_sound(images: Path, tmp_path: Path, name: str) -> None:
    environment = {**os.environ, "image": str(images / name), "raw": str(images / "raw")}
    command = ["bash", "-o", "pipefail", "-ec", CHECKED[name]]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    if name in LISTED:
        assert "etc/hostname\n" in done.stdout


@pytest.mark.parametrize("name", FORMATS)
def test_holes_take_no_room(images: Path, name: str) -> None:
    assert (images / name).stat().st_blocks * 512 <= LARGEST


def test_disks_are_as_large_as_importers_want(images: Path) -> None:
    for name in ("raw", "qcow2", "vdi", "vmdk", "vhdx"):
        argv = ["qemu-img", "info", "--output=json", images / name]
        about = json.loads(subprocess.run(argv, capture_output=True, check=True).stdout)
        assert about["virtual-size"] == GIB
    # Azure: whole MiB, and the footer behind them.
    assert (images / "vpc").stat().st_size == GIB + 512
    assert (images / "vpc").read_bytes()[-512:-504] == b"conectix"


def test_disks_share_what_is_made_once(images: Path) -> None:
    with tarfile.open(images / "ova") as archive:
        content = archive.extractfile("web.vmdk")
        assert content
        assert len(content.read()) == (images / "vmdk").stat().st_size
    assert filecmp.cmp(images / "wsl", images / "tar.gz", shallow=False)
