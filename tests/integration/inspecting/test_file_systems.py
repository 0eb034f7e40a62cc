"""`compose inspect` of file systems: alone, in partitions, subvolumes and logical volumes."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.assembling import MIB, assemble
from tests.integration.inspecting.images import (
    DISK,
    ESP,
    IDENTITY,
    IMAGE,
    ROOT,
    ROOT_UUID,
    inspect,
    is_the_system,
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes trees with owners: needs root")


def prototype(directory: Path) -> Iterator[str]:
    """Lines of a prototype file for mkfs.xfs -p with the content of a directory, without names that it cannot have."""
    for path in sorted(directory.iterdir()):
        if path.is_symlink():
            yield f"{path.name} l--777 0 0 {os.readlink(path)}"
        elif path.is_dir():
            yield f"{path.name} d--755 0 0"
            yield from prototype(path)
            yield "$"
        elif not re.search(r"\s", path.name):
            yield f"{path.name} ---644 0 0 {path}"


@pytest.mark.parametrize("offset", [0, MIB])
def test_xfs(tree: Path, tmp_path: Path, offset: int) -> None:
    """As a whole image, and in a partition, which is copied as xfs_db takes no offset."""
    image = tmp_path / "web.xfs"
    with image.open("wb") as file:
        file.truncate(300 * MIB)
    many = tmp_path / "many"
    (many / "directory").mkdir(parents=True)
    for number in range(3000):
        (many / f"directory/file-{number:05}").write_text("x" * 20)
    text = "\n".join(["/", "0 0", "d--755 0 0", *prototype(tree), *prototype(many), "$", "$", ""])
    (tmp_path / "prototype").write_text(text)
    subprocess.run(["mkfs.xfs", "-q", "-L", "tree", "-p", tmp_path / "prototype", image], check=True)
    if offset:
        inside, image = image, tmp_path / "web.raw"
        subprocess.run(["truncate", "--size=310M", image], check=True)
        table = f"start={offset // 512}, size={300 * MIB // 512}, type=linux, bootable\n"
        subprocess.run(["sfdisk", "-q", "--label=dos", image], input=table, text=True, check=True)
        where = (f"if={inside}", f"of={image}", "bs=1M", "seek=1", "conv=notrunc,sparse", "status=none")
        subprocess.run(["dd", *where], check=True)
    document = inspect(image)
    assert document["image"]["format"] == ("raw" if offset else "xfs")
    (found,) = document["file_systems"]
    assert (found["type"], found["label"], found["partition"]) == ("xfs", "tree", 1 if offset else None)
    if offset:
        (partition,) = document["partition_table"]["partitions"]
        assert (partition["type"], partition["start"], partition["bootable"]) == ("83", MIB, True)
    is_the_system(document)
    usage = {one["path"]: one for one in document["system"]["largest_directories"]}
    assert usage["/directory"]["files"] == 3000
    assert document["notes"] == []


def test_a_root_in_a_subvolume(tree: Path, tmp_path: Path) -> None:
    """The root of the volume has only subvolumes, which fstab mounts."""
    top = tmp_path / "top"
    shutil.copytree(tree, top / "root", symlinks=True)
    (top / "home").mkdir()
    (top / "root/home").rename(top / "home/home")
    for path in (top / "home/home").iterdir():
        path.rename(top / "home" / path.name)
    (top / "home/home").rmdir()
    (top / "root/home").mkdir()
    mounts = [
        f"UUID={ROOT_UUID} {point} btrfs subvol={name} 0 0\n" for point, name in (("/", "root"), ("/home", "/home"))
    ]
    (top / "root/etc/fstab").write_text("".join(mounts))
    image = tmp_path / "a.btrfs"
    with image.open("wb") as file:
        file.truncate(200 * MIB)
    subprocess.run(["mkfs.btrfs", "-q", "-U", ROOT_UUID, "--rootdir", top, image], check=True)
    document = inspect(image)
    is_the_system(document)
    assert document["file_systems"][0]["mount_point"] == "/"


def test_logical_volumes(tree: Path, tmp_path: Path) -> None:
    root = {"name": "root-a", "uuid": "76a22bf4-f153-4541-b6c7-0332c0dfae31", "size": 40 * MIB}
    root["filesystem"] = ROOT["filesystem"]
    swap = {"name": "swap", "uuid": "76a22bf4-f153-4541-b6c7-0332c0dfae32", "size": 8 * MIB}
    swap["filesystem"] = {"type": "swap", "uuid": "76a22bf4-f153-4541-b6c7-0332c0dfae33"}
    group = {
        "name": "vg",
        "uuid": "76a22bf4-f153-4541-b6c7-0332c0dfae30",
        "pv_uuid": "76a22bf4-f153-4541-b6c7-0332c0dfae29",
        "volumes": [root, swap],
    }
    volume = {"type": "lvm", "name": "pv", "uuid": ROOT["uuid"], "grow": True, "lvm": group}
    disk = {"uuid": DISK["uuid"], "size": 96 * MIB, "partitions": [ESP, volume]}
    outputs = [{"format": "raw", "filename": "disk.raw"}]
    result = assemble(tree, IMAGE, {"identity": IDENTITY, "disk": disk, "outputs": outputs}, tmp_path)
    assert result.status == 0, result.log
    document = inspect(tmp_path / "disk.raw")
    is_the_system(document)
    found = [(one["partition"], one["volume"], one["type"], one["mount_point"]) for one in document["file_systems"]]
    assert found == [
        (1, None, "vfat", "/boot/efi"),
        (2, None, "LVM2_member", None),
        (2, "vg/root-a", "ext4", "/"),
        (2, "vg/swap", "swap", None),
    ]
    assert document["notes"] == []
    with (tmp_path / "disk.raw").open("r+b") as file:  # the description ends in the middle
        content = file.read(12 * MIB)
        file.seek(content.index(b"logical_volumes"))
        file.write(bytes(4096))
    notes = [one["message"] for one in inspect(tmp_path / "disk.raw")["notes"]]
    assert any(note.startswith("LVM's volumes of partition 2 cannot be read") for note in notes)


def test_packages_of_rpm(tmp_path: Path) -> None:
    """A package in a database that rpm wrote."""
    top, work = tmp_path / "tree", tmp_path / "work"
    (top / "etc").mkdir(parents=True)
    (top / "etc/os-release").write_text("ID=tiny\n")
    work.mkdir()
    spec = "Name: tiny\nVersion: 1.5\nRelease: 2\nEpoch: 3\nSummary: x\nLicense: x\nBuildArch: noarch\n"
    (work / "tiny.spec").write_text(f"{spec}%description\n%files\n")
    subprocess.run(["rpmbuild", "-bb", "--quiet", "-D", f"_topdir {work}", work / "tiny.spec"], check=True)
    (package,) = work.rglob("*.rpm")
    database = top / "usr/lib/sysimage/rpm"
    database.mkdir(parents=True)
    install = ["rpm", "--dbpath", database, "-i", "--justdb", "--nodeps", "--nosignature", package]
    subprocess.run(install, check=True)
    subprocess.run(["mksquashfs", top, tmp_path / "a.squashfs", "-quiet", "-no-progress"], check=True)
    document = inspect(tmp_path / "a.squashfs")
    installed = [{"name": "tiny", "version": "3:1.5-2", "architecture": "noarch"}]
    assert document["system"]["packages"] == {"manager": "rpm", "installed": installed}
    assert document["notes"] == []


def test_an_encrypted_partition_is_no_error(tmp_path: Path) -> None:
    image = tmp_path / "disk.raw"
    with image.open("wb") as file:
        file.truncate(16 * MIB)
    table = "start=2048, size=8192, type=CA7D7CCB-63ED-4C53-861C-1742536059CC, name=secret\nstart=10240, size=8192\n"
    subprocess.run(["sfdisk", "-q", "--label=gpt", image], input=table, text=True, check=True)
    with image.open("r+b") as file:
        file.seek(MIB)
        file.write(b"LUKS\xba\xbe\x00\x01" + bytes(160) + b"76a22bf4-f153-4541-b6c7-0332c0dfaeac")
    document = inspect(image)
    assert [(one["type"], one["partition"]) for one in document["file_systems"]] == [("crypto_LUKS", 1)]
    notes = [one["message"] for one in document["notes"]]
    assert "partition 1 is encrypted (LUKS): its content cannot be read" in notes
    assert "partition 2 has no known file system" in notes


@pytest.mark.parametrize("kind", ["ext4", "xfs", "squashfs", "tar", "cpio", "btrfs", "erofs"])
def test_device_nodes_are_listed(tree: Path, tmp_path: Path, kind: str) -> None:
    """In file systems whose files are extracted to be read they are missing, and are no obstacle."""
    with_nodes = tmp_path / "tree"
    shutil.copytree(tree, with_nodes, symlinks=True)
    (with_nodes / "dev").mkdir(exist_ok=True)
    for name, value in (("dev/sda", b"b 8 1"), ("dev/null", b"c 1 3")):
        (with_nodes / name).touch()
        os.setxattr(with_nodes / name, "user.osbuild-compose.device", value)
    outputs = [{"format": kind, "filename": "image"}]
    result = assemble(with_nodes, IMAGE, {"identity": IDENTITY, "outputs": outputs}, tmp_path)
    assert result.status == 0, result.log
    document = inspect(tmp_path / "image")
    is_the_system(document)
    listed = ["/dev/null", "/dev/sda"] if kind not in ("btrfs", "erofs") else []
    assert document["system"]["device_nodes"] == listed
    assert document["notes"] == []
