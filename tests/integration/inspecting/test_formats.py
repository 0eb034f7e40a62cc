"""`compose inspect` of every format that is built, and of container images made by other tools."""

import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.conftest import Account
from tests.integration.assembling import MIB, assemble
from tests.integration.inspecting.images import (
    ARCHIVES,
    DISK,
    DISKS,
    ESP,
    FILE_SYSTEMS,
    IDENTITY,
    IMAGE,
    ROOT,
    inspect,
    is_a_disk,
    is_the_system,
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes trees with owners: needs root")


@pytest.mark.parametrize("name", DISKS)
def test_disks(images: Path, name: str) -> None:
    document = inspect(images / f"web.{name}")
    assert document["image"]["format"] == name
    assert document["image"]["virtual_size"] == 64 * MIB
    is_a_disk(document)


def test_an_appliance(images: Path) -> None:
    document = inspect(images / "web.ova")
    assert document["image"]["format"] == "ova"
    is_a_disk(document)


def test_a_disk_for_compute_engine(tree: Path, tmp_path: Path) -> None:
    disk = {key: value for key, value in DISK.items() if key != "size"}
    outputs = [{"format": "gce", "filename": "web.tar.gz"}]
    options = {"identity": IDENTITY, "disk": {**disk, "size_multiple": 1024 * MIB}, "outputs": outputs}
    assert assemble(tree, IMAGE, options, tmp_path).status == 0
    document = inspect(tmp_path / "web.tar.gz")
    assert (document["image"]["format"], document["image"]["virtual_size"]) == ("gce", 1024 * MIB)
    is_the_system(document)


def test_a_disk_with_sectors_of_4096_bytes(tree: Path, tmp_path: Path) -> None:
    outputs = [{"format": "raw", "filename": "disk.raw"}]
    esp = {**ESP, "size": 300 * MIB}
    disk = {"uuid": DISK["uuid"], "sector_size": 4096, "free": 16 * MIB, "partitions": [esp, ROOT]}
    assert assemble(tree, IMAGE, {"identity": IDENTITY, "disk": disk, "outputs": outputs}, tmp_path).status == 0
    document = inspect(tmp_path / "disk.raw")
    assert document["partition_table"]["sector_size"] == 4096
    assert [one["mount_point"] for one in document["file_systems"]] == ["/boot/efi", "/"]
    is_the_system(document)


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives(images: Path, name: str) -> None:
    document = inspect(images / f"web.{name}")
    assert document["image"]["format"] == name
    assert document["image"]["virtual_size"] is None
    is_the_system(document)


def test_a_container(images: Path) -> None:
    document = inspect(images / "web.oci-archive")
    assert document["image"]["format"] == "oci-archive"
    assert (document["container"]["architecture"], document["container"]["cmd"]) == ("amd64", ["/bin/sh"])
    is_the_system(document)


def test_layers_hide_what_is_below_them(tmp_path: Path) -> None:
    """In the format of `docker save`."""
    layers = {
        "one.tar": {"etc/os-release": "ID=one\n", "etc/hostname": "one\n", "opt/a/file": "a"},
        "two.tar": {"etc/.wh.hostname": "", "opt/a/.wh..wh..opq": "", "etc/os-release": "ID=two\n"},
    }
    archive = {"manifest.json": json.dumps([{"Config": "c.json", "Layers": [*layers]}]), "c.json": "{}"}
    for name, files in {**layers, "image.tar": archive}.items():
        with tarfile.open(tmp_path / name, "w") as tar:
            for path, text in files.items():
                (tmp_path / "content").write_text(text)
                tar.add(tmp_path / "content", path)
            for layer in layers if name == "image.tar" else ():
                tar.add(tmp_path / layer, layer)
    system = inspect(tmp_path / "image.tar")["system"]
    assert (system["os_release"], system["hostname"]) == ({"ID": "two"}, None)
    assert [one["path"] for one in system["largest_directories"]] == ["/etc"]


def test_a_live_disc(images: Path) -> None:
    document = inspect(images / "web.iso")
    assert document["image"]["format"] == "iso"
    assert document["file_systems"][0]["type"] == "iso9660"
    starts = [(one["type"], one["firmware"]) for one in document["boot"]["loaders"]]
    assert ("el-torito", "bios") in starts
    assert ("el-torito", "uefi") in starts
    assert "quiet" in document["boot"]["entries"][0]["options"]
    is_the_system(document)


def test_a_system_for_the_network(images: Path, tmp_path: Path) -> None:
    document = inspect(images / "web.pxe")
    assert document["image"]["format"] == "pxe"
    assert "boot=live" in document["boot"]["entries"][0]["options"]
    is_the_system(document)
    subprocess.run(["tar", "-xf", images / "web.pxe", "-C", tmp_path], check=True)  # as a web server has it
    served = inspect(tmp_path)
    assert served["boot"] == document["boot"]
    is_the_system(served)


def test_a_directory(tree: Path) -> None:
    document = inspect(tree)
    assert document["image"] == {"path": str(tree), "format": "directory", "size": None, "virtual_size": None}
    is_the_system(document)
    usage = {one["path"]: one for one in document["system"]["largest_directories"]}
    assert 100_000 <= usage["/usr/share"]["size"] < 110_000  # the hard link counts once


def test_an_ordinary_user_sees_the_same(images: Path, user: Account) -> None:
    image = user.home / "web.qcow2"
    image.write_bytes((images / "web.qcow2").read_bytes())
    done = user.compose("inspect", image, "--json")
    assert done.returncode == 0, done.stderr
    is_a_disk(json.loads(done.stdout))


@pytest.mark.parametrize("name", FILE_SYSTEMS)
def test_file_systems(images: Path, name: str) -> None:
    document = inspect(images / f"web.{name}")
    assert document["image"]["format"] == name
    (found,) = document["file_systems"]
    assert (found["type"], found["partition"], found["mount_point"]) == (name, None, "/")
    assert 0 < found["used"] <= found["size"]
    is_the_system(document)
    assert document["notes"] == []
