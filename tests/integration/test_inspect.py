"""`compose inspect` of each format that is made, of what others make, and of what is meant to do harm."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from osbuild_compose.errors import InputError
from osbuild_compose.inspecting import inspection
from osbuild_compose.inspecting.data import as_json
from osbuild_compose.inspecting.text import as_text
from tests.conftest import Account
from tests.integration.assembling import MIB, assemble

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes trees with owners: needs root")

REPO = Path(__file__).resolve().parents[2]
IMAGE = "org.osbuild-compose.image"
SCHEMA = json.loads((REPO / "schemas/inspect.schema.json").read_text())
IDENTITY = "9f3e7a50-4d8f-4f8e-8f0a-6c6f7b1f5f10"
ROOT_UUID = "76a22bf4-f153-4541-b6c7-0332c0dfaeac"
ESP = {
    "type": "esp",
    "name": "esp",
    "uuid": "0f0e7c39-6d52-4b5a-b3a5-1a3e7a3c1c10",
    "size": 8 * MIB,
    "filesystem": {"type": "vfat", "uuid": "1234-ABCD", "mountpoint": "/boot/efi"},
}
ROOT = {
    "type": "root-x86-64",
    "name": "root",
    "uuid": "0f0e7c39-6d52-4b5a-b3a5-1a3e7a3c1c11",
    "grow": True,
    "filesystem": {"type": "ext4", "uuid": ROOT_UUID, "label": "system", "mountpoint": "/"},
}
DISK: dict[str, Any] = {"uuid": "cb9bd3f4-1f5d-4a0e-9a68-6d1d6ab9d3c2", "size": 64 * MIB, "partitions": [ESP, ROOT]}
DISKS = ("raw", "raw.xz", "raw.zst", "qcow2", "vdi", "vmdk", "vpc", "vhdx")
ARCHIVES = ("tar", "tar.gz", "tar.xz", "tar.zst", "wsl", "cpio", "cpio.gz", "cpio.xz", "cpio.zst")
FILE_SYSTEMS = ("ext4", "btrfs", "squashfs", "erofs")  # and xfs, which xfsprogs before 6.17 cannot make of a tree
OUTPUTS: dict[str, dict[str, Any]] = {
    **{name: {"format": name} for name in (*DISKS, *ARCHIVES, *FILE_SYSTEMS)},
    "ova": {"format": "ova", "name": "web", "memory": 512, "firmware": "uefi"},
    "oci-archive": {"format": "oci-archive", "architecture": "x86_64", "tag": "web", "cmd": ["/bin/sh"]},
    "iso": {"format": "iso", "label": "live", "kernel_opts": "quiet"},
    "pxe": {"format": "pxe", "kernel_opts": "quiet"},
}
LONG = "/" + "x" * 100


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A system in small, with what an inspection looks for, and odd things beside."""
    top = tmp_path_factory.mktemp("inspect") / "tree"
    texts = {
        "usr/lib/os-release": 'ID=tiny\nPRETTY_NAME="Tiny \\"1\\""\nVERSION_ID=1\n',
        "etc/hostname": "tiny\n",
        "etc/passwd": "root:x:0:0::/root:/bin/sh\nweb:x:33:33::/srv:/usr/sbin/nologin\n"
        "admin:x:1000:1000::/home/admin:/bin/sh\n",
        "etc/shadow": "root:!:1::::::\nweb:*:1::::::\nadmin:$6$a$b:1::::::\n",
        "etc/group": "root:x:0:\nsudo:x:27:admin\nadmin:x:1000:\n",
        "etc/fstab": f"UUID={ROOT_UUID} / ext4 defaults 0 1\nUUID=1234-ABCD /boot/efi vfat umask=0077 0 2\n",
        "home/admin/.ssh/authorized_keys": "# mine\nssh-ed25519 AAAA me\n",
        "var/lib/dpkg/status": "Package: base\nStatus: install ok installed\nVersion: 1:2-3\nArchitecture: amd64\n\n"
        "Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: all\n",
        "boot/grub/grub.cfg": "menuentry 'Tiny' --class tiny {\n"
        " linux /boot/vmlinuz-6.1.0-10 root=UUID=x ro\n initrd /boot/i\n}\n",
        "boot/vmlinuz-6.1.0-10": "kernel",
        "boot/initrd.img-6.1.0-10": "initramfs",
        "boot/efi/EFI/debian/grub.cfg": "of the disk",
        "boot/efi/EFI/BOOT/grubx64.efi": "no program",
        "boot/efi/EFI/BOOT/BOOTX64.EFI": "no program",
        "usr/lib/systemd/system/web.service": "[Unit]\n",
        "usr/lib/osbuild-compose/build.json": '{"name": "tiny", "distro": "tiny-1", "tree_id": "abc"}',
        "usr/share/odd/line\nbreak -> x": "odd",
    }
    for name, text in texts.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for directory in ("usr/lib/live/boot", "usr/lib/modules/6.1.0-10", "etc/systemd/system/multi-user.target.wants"):
        (top / directory).mkdir(parents=True, exist_ok=True)
    (top / "etc/os-release").symlink_to("../usr/lib/os-release")
    (top / "etc/systemd/system/multi-user.target.wants/web.service").symlink_to("/usr/lib/systemd/system/web.service")
    (top / "etc/systemd/system/off.service").symlink_to("/dev/null")
    (top / "usr/lib/systemd/system/default.target").symlink_to("multi-user.target")
    (top / "usr/share/far").symlink_to(LONG * 3)
    (top / "usr/share/round").symlink_to("round")
    (top / "usr/share/large").write_bytes(os.urandom(100_000))
    os.link(top / "usr/share/large", top / "usr/share/large-again")
    return top


@pytest.fixture(scope="module")
def images(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of OUTPUTS, made in one run."""
    out = tmp_path_factory.mktemp("inspected")
    outputs = [{"filename": f"web.{name}", **options} for name, options in OUTPUTS.items()]
    result = assemble(tree, IMAGE, {"identity": IDENTITY, "disk": DISK, "outputs": outputs}, out)
    assert result.status == 0, result.log
    return out


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "osbuild_compose", "inspect", *arguments],
        env={**os.environ, "PYTHONPATH": str(REPO), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def inspect(image: Path) -> dict[str, Any]:
    done = run(image, "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    document: dict[str, Any] = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA, jsonschema.Draft202012Validator)
    return document


def is_the_system(document: dict[str, Any]) -> None:
    system = document["system"]
    assert system["os_release"]["PRETTY_NAME"] == 'Tiny "1"'
    assert system["hostname"] == "tiny"
    assert [kernel["version"] for kernel in system["kernels"]] == ["6.1.0-10"]
    installed = [{"name": "base", "version": "1:2-3", "architecture": "amd64"}]
    assert system["packages"] == {"manager": "dpkg", "installed": installed}
    users = [(user["name"], user["groups"], user["password"], user["ssh_keys"]) for user in system["users"]]
    assert users == [("root", ["root"], "locked", 0), ("admin", ["admin", "sudo"], "set", 1)]
    assert system["services"] == {
        "default_target": "multi-user.target",
        "enabled": [{"unit": "web.service", "wanted_by": ["multi-user.target"]}],
        "masked": ["off.service"],
    }
    assert system["largest_directories"][0]["path"] == "/usr"
    assert document["provenance"]["build"] == {"name": "tiny", "distro": "tiny-1", "tree_id": "abc"}


@pytest.mark.parametrize("name", DISKS)
def test_disks(images: Path, name: str) -> None:
    document = inspect(images / f"web.{name}")
    assert document["image"]["format"] == name
    assert document["image"]["virtual_size"] == 64 * MIB
    is_a_disk(document)


def is_a_disk(document: dict[str, Any]) -> None:
    is_the_system(document)
    table = document["partition_table"]
    assert (table["type"], table["uuid"], table["sector_size"]) == ("gpt", DISK["uuid"], 512)
    assert [(one["label"], one["type_name"], one["uuid"]) for one in table["partitions"]] == [
        ("esp", "EFI system", ESP["uuid"]),
        ("root", "Linux root (x86-64)", ROOT["uuid"]),
    ]
    found = [(one["partition"], one["type"], one["uuid"], one["mount_point"]) for one in document["file_systems"]]
    assert found == [(1, "vfat", "1234-ABCD", "/boot/efi"), (2, "ext4", ROOT_UUID, "/")]
    assert all(0 < one["used"] < one["size"] <= 64 * MIB for one in document["file_systems"])
    entry = {"title": "Tiny", "kernel": "/boot/vmlinuz-6.1.0-10", "initramfs": ["/boot/i"], "options": "root=UUID=x ro"}
    assert document["boot"]["entries"] == [{**entry, "source": "/boot/grub/grub.cfg"}]
    assert document["notes"] == []


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


@pytest.mark.parametrize("name", FILE_SYSTEMS)
def test_file_systems(images: Path, name: str) -> None:
    document = inspect(images / f"web.{name}")
    assert document["image"]["format"] == name
    (found,) = document["file_systems"]
    assert (found["type"], found["partition"], found["mount_point"]) == (name, None, "/")
    assert 0 < found["used"] <= found["size"]
    is_the_system(document)
    assert document["notes"] == []


def prototype(directory: Path) -> Iterator[str]:
    """Lines of what mkfs.xfs -p takes for the content of a directory, but for names that it cannot have."""
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
    """Alone, and in a partition, of which a copy is made: xfs_db takes no offset."""
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


def test_packages_of_rpm(tmp_path: Path) -> None:
    """A package that rpm itself put into a database."""
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


def test_a_root_in_a_subvolume(tree: Path, tmp_path: Path) -> None:
    """The volume's top has but subvolumes, which fstab puts together."""
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


def test_a_container(images: Path) -> None:
    document = inspect(images / "web.oci-archive")
    assert document["image"]["format"] == "oci-archive"
    assert (document["container"]["architecture"], document["container"]["cmd"]) == ("amd64", ["/bin/sh"])
    is_the_system(document)


def test_layers_hide_what_is_below_them(tmp_path: Path) -> None:
    """As `docker save` writes it."""
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


def test_a_system_for_the_network(images: Path) -> None:
    document = inspect(images / "web.pxe")
    assert document["image"]["format"] == "pxe"
    assert "boot=live" in document["boot"]["entries"][0]["options"]
    is_the_system(document)


def test_a_directory(tree: Path) -> None:
    document = inspect(tree)
    assert document["image"] == {"path": str(tree), "format": "directory", "size": None, "virtual_size": None}
    is_the_system(document)
    usage = {one["path"]: one for one in document["system"]["largest_directories"]}
    assert 100_000 <= usage["/usr/share"]["size"] < 110_000  # the hard link counts once


def fails(image: Path, *said: str) -> None:
    done = run(image)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    for text in said:
        assert text in done.stderr


def test_what_is_no_image_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello\n" * 1000)
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    fails(tmp_path / "missing", "there is no file")
    fails(tmp_path / "text", "is no image that is known")
    fails(tmp_path / "empty", "is no image that is known")
    fails(tmp_path / "pipe", "is not a file")


@pytest.mark.parametrize("name", ["raw.xz", "raw.zst", "tar", "tar.gz", "cpio", "vmdk", "vhdx"])
def test_an_image_that_is_cut_off_is_told(images: Path, tmp_path: Path, name: str) -> None:
    content = (images / f"web.{name}").read_bytes()
    (tmp_path / "cut").write_bytes(content[: len(content) // 2 & ~511])
    fails(tmp_path / "cut", "cut off")


def test_a_disk_that_is_cut_off_tells_what_it_still_can(images: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.raw").write_bytes((images / "web.raw").read_bytes()[: 12 * MIB])
    document = inspect(tmp_path / "cut.raw")
    assert len(document["partition_table"]["partitions"]) == 2
    assert "partition 2 ends beyond the disk: the image is cut off" in [one["message"] for one in document["notes"]]


def test_a_disk_that_is_not_all_in_its_file_reads_no_other_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret" * 10000)
    base = ("-b", tmp_path / "secret", "-F", "raw")
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *base, tmp_path / "a.qcow2"], check=True)
    fails(tmp_path / "a.qcow2", "it has only what differs from", "qemu-img convert")
    text = '# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 100 FLAT "secret" 0\n'
    (tmp_path / "a.vmdk").write_text(text)
    fails(tmp_path / "a.vmdk", "it describes a disk that is in other files", "qemu-img convert")


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
    assert "partition 1 is encrypted (LUKS): what is in it cannot be told" in notes
    assert "partition 2 has no file system that is known" in notes


def test_links_lead_nowhere_but_into_the_image(tmp_path: Path) -> None:
    top = tmp_path / "tree"
    (top / "etc").mkdir(parents=True)
    (tmp_path / "host-release").write_text("ID=secret\n")
    (top / "etc/os-release").symlink_to(tmp_path / "host-release")
    (top / "etc/hostname").symlink_to("../../host-release")
    (top / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (top / "etc/shadow").symlink_to("shadow")
    subprocess.run(["tar", "-C", top, "-cf", tmp_path / "a.tar", "."], check=True)
    subprocess.run(["mksquashfs", top, tmp_path / "a.squashfs", "-quiet", "-no-progress"], check=True)
    for image in (top, tmp_path / "a.tar", tmp_path / "a.squashfs"):
        done = run(image, "--json")
        assert "secret" not in done.stdout
        assert json.loads(done.stdout)["system"]["users"][0]["password"] is None


def test_names_of_an_archive_write_nothing_here(tmp_path: Path) -> None:
    (tmp_path / "content").write_text("root:x:0:0::/root:/bin/sh\n")
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name in ("etc/passwd", f"../../../../{tmp_path}/escaped", f"{tmp_path}/absolute"):
            tar.add(tmp_path / "content", name)
    before = sorted(tmp_path.iterdir())
    assert inspect(tmp_path / "a.tar")["system"]["users"][0]["name"] == "root"
    assert sorted(tmp_path.iterdir()) == before


def test_a_terminal_gets_no_control_characters(tmp_path: Path) -> None:
    top = tmp_path / "tree"
    (top / "etc/systemd/system/multi-user.target.wants").mkdir(parents=True)
    (top / "etc/os-release").write_text('PRETTY_NAME="\x1b]0;owned\x07\x9b31m"\n')
    (top / "etc/passwd").write_text("ro\x1b[2Jot:x:0:0::/root:/bin/sh\n")
    (top / "etc/hostname").write_bytes(b"host\xff\x08\n")
    (top / "etc/systemd/system/multi-user.target.wants/a\x1bc.service").symlink_to("x")
    (Path(os.fsdecode(os.fsencode(top) + b"/etc/\xff\x1b"))).mkdir()
    (Path(os.fsdecode(os.fsencode(top) + b"/etc/\xff\x1b/file"))).write_text("x" * 1000)
    done = run(top)
    assert done.returncode == 0, done.stderr
    assert done.stdout.replace("\n", "").isprintable()
    assert "\\x1b" in done.stdout
    jsonschema.validate(json.loads(run(top, "--json").stdout), SCHEMA, jsonschema.Draft202012Validator)


def test_what_a_program_is_missing_for_is_told_with_its_package(images: Path, tmp_path: Path) -> None:
    """On a machine, shown by hiding one program, the rest of the image is read."""
    hidden = ["unshare", "--mount", "sh", "-c", 'mount --bind "$0" /usr/sbin/debugfs && shift 0 && exec "$@"']
    (tmp_path / "none").touch(mode=0o644)
    argv = [sys.executable, "-m", "osbuild_compose", "inspect", images / "web.raw", "--json"]
    done = subprocess.run(
        [*hidden, tmp_path / "none", *argv],
        env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True,
        check=False,
    )
    document = json.loads(done.stdout)
    notes = [(one["message"], one["hint"]) for one in document["notes"]]
    assert ("the files of partition 2 (ext4) cannot be read: debugfs is not installed", "install e2fsprogs") in notes
    assert [one["type"] for one in document["file_systems"]] == ["vfat", "ext4"]


@pytest.mark.parametrize(
    "name", ["raw", "qcow2", "ext4", "btrfs", "squashfs", "erofs", "tar", "oci-archive", "cpio", "iso"]
)
def test_damaged_images_are_told_or_read_in_part(images: Path, tmp_path: Path, name: str) -> None:
    """Some bytes of what is not empty are others; all else than a report or a clear error would be raised."""
    content = (images / f"web.{name}").read_bytes()
    used = [at for at in range(0, min(len(content), 6 * MIB), 512) if any(content[at : at + 512])]
    for seed in range(3):
        chance = random.Random(seed)
        damaged = bytearray(content)
        for _ in range(10**seed):
            damaged[min(chance.choice(used) + chance.randrange(512), len(content) - 1)] = chance.randrange(256)
        (tmp_path / "damaged").write_bytes(damaged)
        try:
            report = inspection.inspect(tmp_path / "damaged")
        except InputError as error:
            said = str(error)
        else:
            said = as_text(report)
            jsonschema.validate(json.loads(as_json(report)), SCHEMA, jsonschema.Draft202012Validator)
        assert said.replace("\n", "").isprintable()


def test_nothing_is_left_behind(images: Path, tmp_path: Path) -> None:
    run(images / "web.qcow2", TMPDIR=str(tmp_path))
    run(images / "web.btrfs", TMPDIR=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_behind_when_it_is_stopped(images: Path, tmp_path: Path, number: signal.Signals) -> None:
    argv = [sys.executable, "-m", "osbuild_compose", "inspect", images / "web.raw.xz"]
    environment = {**os.environ, "PYTHONPATH": str(REPO), "TMPDIR": str(tmp_path)}
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not list(tmp_path.glob("*/*")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(number)
        _, said = process.communicate()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def test_an_ordinary_user_sees_the_same(images: Path, user: Account) -> None:
    image = user.home / "web.qcow2"
    image.write_bytes((images / "web.qcow2").read_bytes())
    done = user.compose("inspect", image, "--json")
    assert done.returncode == 0, done.stderr
    is_a_disk(json.loads(done.stdout))
