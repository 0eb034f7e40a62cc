"""Formats of org.osbuild-compose.image: what is in each, read by another program, and the same every time."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from stagelib.disk import layout, planner, sizes
from stagelib.disk.formats import ova
from stagelib.disk.formats.run import RawDisk, Run

from tests.integration.assembling import EPOCH, MIB, assemble
from tests.integration.entries import Entry, differences, entries

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes trees with owners and devices: needs root")

IMAGE = "org.osbuild-compose.image"
IDENTITY = "9f3e7a50-4d8f-4f8e-8f0a-6c6f7b1f5f10"
GIB = 1024 * MIB
ROOT_FS = {"type": "ext4", "uuid": "76a22bf4-f153-4541-b6c7-0332c0dfaeac", "mountpoint": "/"}
ROOT = {"type": "linux", "uuid": "0f0e7c39-6d52-4b5a-b3a5-1a3e7a3c1c11", "grow": True, "filesystem": ROOT_FS}
DISK: dict[str, Any] = {"uuid": "cb9bd3f4-1f5d-4a0e-9a68-6d1d6ab9d3c2", "size": 64 * MIB, "partitions": [ROOT]}
OCI = {
    "format": "oci-archive",
    "architecture": "x86_64",
    "tag": "web",
    "cmd": ["/usr/sbin/nginx", "-g", "daemon off;"],
    "env": {"PATH": "/usr/bin", "LANG": "C.UTF-8"},
    "user": "www-data",
    "labels": {"org.example": "web"},
    "exposed_ports": ["80/tcp"],
    "working_dir": "/srv",
}
OUTPUTS: dict[str, dict[str, Any]] = {
    "raw.zst": {"format": "raw.zst"},
    "vmdk": {"format": "vmdk"},
    "ova": {"format": "ova", "name": "web", "memory": 512, "firmware": "uefi"},
    "tar.zst": {"format": "tar.zst"},
    "wsl": {"format": "wsl"},
    "tar.gz": {"format": "tar.gz"},
    "cpio.zst": {"format": "cpio.zst"},
    "cpio.xz": {"format": "cpio.xz"},
    "oci": OCI,
    "oci.zst": {**OCI, "compression": "zstd"},
    "ext4": {"format": "ext4", "label": "tree"},
    "squashfs": {"format": "squashfs"},
}


@pytest.fixture(scope="module")
def images(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of OUTPUTS, made in one run."""
    out = tmp_path_factory.mktemp("images")
    make(tree, out, OUTPUTS)
    return out


@pytest.fixture(scope="module")
def wanted(tree: Path) -> dict[str, Entry]:
    return entries(tree)


def make(tree: Path, out: Path, outputs: dict[str, dict[str, Any]], disk: dict[str, Any] | None = DISK) -> None:
    made = [{"filename": name, **options} for name, options in outputs.items()]
    options = {"identity": IDENTITY, "outputs": made, **({"disk": disk} if disk else {})}
    result = assemble(tree, IMAGE, options, out)
    assert result.status == 0, result.log


def run(*argv: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stdout
    return done.stdout


def untar(archive: Path, target: Path) -> Path:
    target.mkdir()
    run("tar", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--acls", "-xpf", archive, "-C", target)
    return target


def without_labels(found: dict[str, Entry]) -> dict[str, Entry]:
    """The labels of the machine where a tree was made do not belong into an image."""
    return {
        name: Entry(
            **{**vars(entry), "attributes": tuple(one for one in entry.attributes if one[0] != "security.selinux")}
        )
        for name, entry in found.items()
    }


def test_every_format_is_the_same_twice(tree: Path, images: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    make(tree, again, OUTPUTS)
    digests = [
        {name: hashlib.sha256((where / name).read_bytes()).hexdigest() for name in OUTPUTS} for where in (images, again)
    ]
    assert digests[0] == digests[1]


def test_how_far_it_is_is_reported_in_bytes(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in "abcd":
        (tree / name).write_bytes(os.urandom(12 * MIB))
    outputs = [
        {"format": kind, "filename": f"a.{kind}"} for kind in ("raw", "raw.zst", "tar.gz", "tar.zst", "squashfs")
    ]
    disk = {**DISK, "size": 128 * MIB}
    result = assemble(tree, IMAGE, {"identity": IDENTITY, "disk": disk, "outputs": outputs}, tmp_path / "out")
    assert result.status == 0, result.log
    done, totals = [list(numbers) for numbers in zip(*result.progress, strict=True)]
    # Read once for the disk, for raw.zst, for both archives together, and for the squashfs.
    assert set(totals) == {done[-1]} == {4 * sizes.of_tree(str(tree)).data}
    assert done == sorted(done)
    assert len(set(done)) > 4  # not only at the end of the four


def test_nothing_but_the_outputs_is_there(images: Path) -> None:
    assert sorted(path.name for path in images.iterdir()) == sorted(OUTPUTS)


def test_what_is_the_same_in_several_formats_is_there_once(images: Path, live: Path, tmp_path: Path) -> None:
    assert (images / "wsl").samefile(images / "tar.gz")
    outputs = {"a.iso": {"format": "iso", "label": "live"}, "b.tar": {"format": "pxe"}, "c": {"format": "squashfs"}}
    make(live, tmp_path / "out", outputs, None)
    squashfs = (tmp_path / "out/c").read_bytes()
    assert (untar(tmp_path / "out/b.tar", tmp_path / "pxe") / "filesystem.squashfs").read_bytes() == squashfs
    run("xorriso", "-osirrox", "on", "-indev", tmp_path / "out/a.iso", "-extract", "/live", tmp_path / "iso")
    assert (tmp_path / "iso/filesystem.squashfs").read_bytes() == squashfs


@pytest.mark.parametrize("name", ["tar.zst", "wsl"])
def test_archives_hold_the_tree(images: Path, wanted: dict[str, Entry], tmp_path: Path, name: str) -> None:
    found = entries(untar(images / name, tmp_path / "out"))
    assert differences(without_labels(wanted), found) == []


@pytest.mark.parametrize(("name", "program"), [("cpio.zst", "zstd"), ("cpio.xz", "xz")])
def test_cpio_holds_all_but_attributes(images: Path, tree: Path, tmp_path: Path, name: str, program: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with (images / name).open("rb") as file, subprocess.Popen([program, "-dc"], stdin=file, stdout=-1) as unpacked:
        unpack = ["cpio", "--extract", "--make-directories", "--preserve-modification-time", "--quiet", "--no-absolute"]
        subprocess.run(unpack, stdin=unpacked.stdout, cwd=out, check=True)
    # Directories get the time of what is unpacked into them, and the one it is unpacked into keeps its mode.
    wanted, found = (entries(where, attributes=False, times=False) for where in (tree, out))
    del wanted["."], found["."]
    assert differences(wanted, found) == []


def test_ext4_is_sound_and_has_its_label(images: Path) -> None:
    run("e2fsck", "-fn", images / "ext4")
    said = run("dumpe2fs", "-h", images / "ext4")
    assert "Filesystem volume name:   tree" in said
    assert f"Filesystem UUID:          {IDENTITY}" in said
    assert "difficult" in run("debugfs", "-R", "cat /etc/hostname", images / "ext4")


@pytest.mark.parametrize("name", ["oci", "oci.zst"])
def test_a_container_image_is_what_skopeo_reads(
    images: Path, wanted: dict[str, Entry], tmp_path: Path, name: str
) -> None:
    if not shutil.which("skopeo"):
        pytest.skip("no skopeo here")
    about = json.loads(run("skopeo", "inspect", "--config", f"oci-archive:{images / name}"))
    assert about["architecture"] == "amd64"
    assert about["created"] == "2023-11-14T22:13:20Z"
    assert about["config"] == {
        "Cmd": OCI["cmd"],
        "Env": ["LANG=C.UTF-8", "PATH=/usr/bin"],
        "ExposedPorts": {"80/tcp": {}},
        "Labels": OCI["labels"],
        "User": "www-data",
        "WorkingDir": "/srv",
    }
    run("skopeo", "--insecure-policy", "copy", f"oci-archive:{images / name}:web", f"dir:{tmp_path / 'copy'}")
    manifest = json.loads((tmp_path / "copy/manifest.json").read_text())
    assert len(manifest["layers"]) == 1
    layer = tmp_path / "copy" / manifest["layers"][0]["digest"].removeprefix("sha256:")
    found = entries(untar(layer, tmp_path / "out"))
    assert differences(without_labels(wanted), found) == []


def test_a_vmdk_is_made_for_streaming(images: Path) -> None:
    about = json.loads(run("qemu-img", "info", "--output=json", images / "vmdk"))
    assert about["format-specific"]["data"]["create-type"] == "streamOptimized"
    run("qemu-img", "check", images / "vmdk")
    assert run("qemu-img", "compare", "-f", "vmdk", "-F", "vmdk", images / "vmdk", images / "vmdk")


def test_an_appliance_describes_its_disk(images: Path, tmp_path: Path) -> None:
    with tarfile.open(images / "ova") as archive:
        assert archive.getnames() == ["web.ovf", "web.mf", "web.vmdk"]
        assert {(member.uid, member.mtime, member.mode) for member in archive} == {(0, EPOCH, 0o644)}
    run("tar", "-xf", images / "ova", "-C", tmp_path)
    for line in (tmp_path / "web.mf").read_text().splitlines():
        name, digest = line.removeprefix("SHA256(").split(")= ")
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest
    ovf = "{http://schemas.dmtf.org/ovf/envelope/1}"
    top = ET.parse(tmp_path / "web.ovf").getroot()
    file, disk = next(top.iter(f"{ovf}File")), next(top.iter(f"{ovf}Disk"))
    assert int(file.attrib[f"{ovf}size"]) == (tmp_path / "web.vmdk").stat().st_size
    about = json.loads(run("qemu-img", "info", "--output=json", tmp_path / "web.vmdk"))
    assert int(disk.attrib[f"{ovf}capacity"]) == about["virtual-size"] == 64 * MIB
    assert "efi" in (tmp_path / "web.ovf").read_text()


@pytest.mark.parametrize("is_last", [True, False])
def test_an_appliance_made_last_has_the_room_of_the_raw_disk(
    tmp_path: Path, is_last: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside images there is one more copy at most: the vmdk is one."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(EPOCH))
    raw = tmp_path / "disk.raw"
    raw.write_bytes(os.urandom(MIB))
    disk = RawDisk(str(raw), layout.from_options(DISK), planner.Plan(MIB, ()))
    options = {"format": "ova", "filename": "web.ova", "name": "web"}
    (tmp_path / "room").mkdir()
    run_of = Run("/nowhere", EPOCH, IDENTITY, (options,), str(tmp_path / "room"), disk, is_last)
    ova.make(run_of, options, str(tmp_path / "web.ova"))
    assert raw.exists() is not is_last
    assert (tmp_path / "web.ova").stat().st_size > MIB


def test_a_disk_for_compute_engine_is_a_sparse_archive_of_whole_gibibytes(tree: Path, tmp_path: Path) -> None:
    disk = {key: value for key, value in DISK.items() if key != "size"}
    make(tree, tmp_path / "out", {"web.tar.gz": {"format": "gce"}}, {**disk, "size_multiple": GIB})
    assert (tmp_path / "out/web.tar.gz").stat().st_size < 64 * MIB
    listing = run("tar", "-tvf", tmp_path / "out/web.tar.gz")
    assert listing.split()[-1] == "disk.raw"
    assert listing.split()[2] == str(GIB)
    run("tar", "-xSf", tmp_path / "out/web.tar.gz", "-C", tmp_path)
    run("sfdisk", "--verify", tmp_path / "disk.raw")
    with tarfile.open(tmp_path / "out/web.tar.gz") as archive, (tmp_path / "disk.raw").open("rb") as disk_file:
        data: Any = archive.getmembers()[0].sparse
        assert sum(size for _, size in data) < 64 * MIB
        for start, size in data:  # whatever the file system had holes for
            disk_file.seek(start)
            found = disk_file.read(size)
            assert all(any(found[at : at + 512]) for at in range(0, size, 512)), start


def test_a_disk_of_another_size_is_refused_for_compute_engine(tree: Path, tmp_path: Path) -> None:
    options = {"identity": IDENTITY, "disk": DISK, "outputs": [{"format": "gce", "filename": "a.tar.gz"}]}
    result = assemble(tree, IMAGE, options, tmp_path / "out")
    assert result.status == 1
    assert "whole GiB" in result.log
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_too_large_for_cpio_is_named(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    with (tree / "large").open("wb") as file:
        file.truncate(4 * GIB)
    options = {"identity": IDENTITY, "outputs": [{"format": "cpio", "filename": "a.cpio"}]}
    result = assemble(tree, IMAGE, options, tmp_path / "out")
    assert result.status == 1
    assert "/large has 4.0 GiB" in result.log
    assert list((tmp_path / "out").iterdir()) == []


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """A tree that has what a live system needs, as far as making an image of it goes."""
    tree = tmp_path / "live"
    for directory in ("boot/efi/EFI/BOOT", "boot/efi/EFI/debian", "usr/lib/live/boot", "etc"):
        (tree / directory).mkdir(parents=True)
    for version in ("6.1.0-9", "6.1.0-10"):
        (tree / f"boot/vmlinuz-{version}").write_text(f"kernel {version}")
        (tree / f"boot/initrd.img-{version}").write_text(f"initramfs {version}")
    for name in ("BOOT/BOOTX64.EFI", "BOOT/grubx64.efi", "debian/grubx64.efi"):
        (tree / "boot/efi/EFI" / name).write_text(name)
    (tree / "boot/efi/EFI/debian/grub.cfg").write_text("of the disk")
    (tree / "etc/os-release").write_text('PRETTY_NAME="It\'s live"\n')
    return tree


def test_an_archive_that_has_no_room_leaves_nothing(tree: Path, tmp_path: Path) -> None:
    outputs = [{"format": kind, "filename": kind} for kind in ("tar.gz", "tar.xz", "tar.zst", "cpio.zst")]
    for items in (outputs[:3], outputs[3:]):
        result = assemble(tree, IMAGE, {"identity": IDENTITY, "outputs": items}, tmp_path / "out", room=20_000)
        assert result.status == 1
        assert "no space left for the image" in result.log
        assert "Traceback" not in result.log


def test_a_live_disc_starts_by_bios_and_uefi_and_is_the_same_twice(live: Path, tmp_path: Path) -> None:
    outputs = {"live.iso": {"format": "iso", "label": "live", "kernel_opts": "quiet console=ttyS0,9600"}}
    for number in range(2):
        make(live, tmp_path / f"out{number}", outputs, None)
    image = tmp_path / "out0/live.iso"
    assert image.read_bytes() == (tmp_path / "out1/live.iso").read_bytes()
    starts = run("xorriso", "-indev", image, "-report_el_torito", "plain")
    assert re.search(r"El Torito boot img :\s+1\s+BIOS\s+y", starts)
    assert re.search(r"El Torito boot img :\s+2\s+UEFI\s+y", starts)
    run("xorriso", "-osirrox", "on", "-indev", image, "-extract", "/", tmp_path / "read")
    assert (tmp_path / "read/live/vmlinuz").read_text() == "kernel 6.1.0-10"
    assert (tmp_path / "read/live/initrd.img").read_text() == "initramfs 6.1.0-10"
    run("unsquashfs", "-d", tmp_path / "root", "-no-progress", tmp_path / "read/live/filesystem.squashfs")
    assert differences(entries(live), entries(tmp_path / "root")) == []
    menu = (tmp_path / "read/boot/grub/grub.cfg").read_text()
    assert "serial --unit=0 --speed=9600\n" in menu
    assert "menuentry 'It'\\''s live' {\n  linux /live/vmlinuz boot=live fstab=no quiet console=ttyS0,9600\n" in menu
    table = json.loads(run("sfdisk", "--json", image))["partitiontable"]
    esp = next(part for part in table["partitions"] if part["type"] == "ef")
    with image.open("rb") as file:
        file.seek(esp["start"] * 512)
        (tmp_path / "esp").write_bytes(file.read(esp["size"] * 512))
    run("fsck.vfat", "-n", tmp_path / "esp")
    assert "search --no-floppy --file" in run("mtype", "-i", tmp_path / "esp", "::/EFI/debian/grub.cfg")


@pytest.mark.parametrize("name", ["boot/efi/EFI/debian/extra.efi", "boot/efi/EFI/BOOT/grub.cfg", "boot/efi/EFI/other"])
def test_nothing_outside_of_the_tree_gets_into_a_live_disc(live: Path, tmp_path: Path, name: str) -> None:
    (live / name).symlink_to("/usr/share/common-licenses" if name.endswith("other") else "/usr/bin/env")
    outputs = [{"format": "iso", "filename": "live.iso", "label": "live"}]
    result = assemble(live, IMAGE, {"identity": IDENTITY, "outputs": outputs}, tmp_path / "out")
    assert result.status == 1
    assert f"{name.removeprefix('boot/efi/')} is neither" in result.log
    assert "Traceback" not in result.log
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("boot/efi/EFI/debian/extra.efi", "EFI/debian/extra.efi is neither"),
        ("usr/lib/grub/i386-pc/normal.mod", "/usr/lib/grub/i386-pc/normal.mod is not a regular file"),
        ("etc/os-release", "error: /etc/os-release: not a regular file"),
    ],
)
def test_a_live_disc_waits_for_nothing_in_the_tree(live: Path, tmp_path: Path, name: str, said: str) -> None:
    (live / name).parent.mkdir(parents=True, exist_ok=True)
    (live / name).unlink(missing_ok=True)
    os.mkfifo(live / name)
    outputs = [{"format": "iso", "filename": "live.iso", "label": "live"}]
    result = assemble(live, IMAGE, {"identity": IDENTITY, "outputs": outputs}, tmp_path / "out")
    assert result.status == 1
    assert said in result.log


@pytest.mark.parametrize("format_", ["iso", "pxe"])
def test_a_kernel_that_is_no_file_is_none(live: Path, tmp_path: Path, format_: str) -> None:
    for path in live.glob("boot/vmlinuz-*"):
        path.unlink()
        os.mkfifo(path)
    outputs = [{"format": format_, "filename": "live", **({"label": "live"} if format_ == "iso" else {})}]
    result = assemble(live, IMAGE, {"identity": IDENTITY, "outputs": outputs}, tmp_path / "out")
    assert result.status == 1
    assert "the tree has no kernel with an initramfs" in result.log


def test_a_network_system_has_its_files_in_one_archive(live: Path, tmp_path: Path) -> None:
    outputs = {"live.tar": {"format": "pxe", "kernel_opts": "quiet"}}
    for number in range(2):
        make(live, tmp_path / f"out{number}", outputs, None)
    assert (tmp_path / "out0/live.tar").read_bytes() == (tmp_path / "out1/live.tar").read_bytes()
    read = untar(tmp_path / "out0/live.tar", tmp_path / "read")
    assert sorted(path.name for path in read.iterdir()) == ["boot.ipxe", "filesystem.squashfs", "initrd.img", "vmlinuz"]
    script = (read / "boot.ipxe").read_text().splitlines()
    assert script[0] == "#!ipxe"
    kernel = "kernel vmlinuz initrd=initrd.img boot=live fstab=no fetch=${base}/filesystem.squashfs ip=dhcp quiet"
    assert kernel in script


@pytest.fixture
def dracut_live(tmp_path: Path) -> Path:
    """As `live`, with what Fedora has instead of live-boot, and its boot loader for UEFI."""
    tree = tmp_path / "dracut-live"
    for directory in ("boot/efi/EFI/BOOT", "boot/efi/EFI/fedora", "etc"):
        (tree / directory).mkdir(parents=True)
    for module in ("70dmsquash-live", "90livenet"):
        (tree / "usr/lib/dracut/modules.d" / module).mkdir(parents=True)
    for name in ("vmlinuz-6.1.0-10", "initramfs-6.1.0-10.img"):
        (tree / "boot" / name).write_text(name)
    for name in ("BOOT/BOOTX64.EFI", "BOOT/fbx64.efi", "fedora/grubx64.efi", "fedora/shimx64.efi"):
        (tree / "boot/efi/EFI" / name).write_text(name)
    (tree / "etc/os-release").write_text("PRETTY_NAME=Fedora\n")
    return tree


def test_a_disc_and_a_network_system_of_a_tree_with_dracut(dracut_live: Path, tmp_path: Path) -> None:
    outputs = {"a.iso": {"format": "iso", "label": "a-disc", "kernel_opts": "quiet"}, "b.tar": {"format": "pxe"}}
    make(dracut_live, tmp_path / "out", outputs, None)
    image = tmp_path / "out/a.iso"
    run("xorriso", "-osirrox", "on", "-indev", image, "-extract", "/", tmp_path / "read")
    dracut = "rd.live.image rd.live.overlay.overlayfs=1 fstab=no"
    menu = (tmp_path / "read/boot/grub/grub.cfg").read_text()
    assert f"  linux /live/vmlinuz root=live:CDLABEL=a-disc {dracut} quiet\n" in menu
    assert (tmp_path / "read/live/initrd.img").read_text() == "initramfs-6.1.0-10.img"
    run("unsquashfs", "-d", tmp_path / "root", "-no-progress", tmp_path / "read/LiveOS/squashfs.img")
    assert differences(entries(dracut_live), entries(tmp_path / "root")) == []
    network = untar(tmp_path / "out/b.tar", tmp_path / "pxe")
    assert (network / "squashfs.img").read_bytes() == (tmp_path / "read/LiveOS/squashfs.img").read_bytes()
    kernel = f"kernel vmlinuz initrd=initrd.img root=live:${{base}}/squashfs.img {dracut} ip=dhcp\n"
    assert kernel in (network / "boot.ipxe").read_text()
    # The module's name of the disc is that of the volume, which ISO 9660 and Joliet have.
    assert run("blkid", "-p", "-o", "value", "-s", "LABEL", image) == "a-disc\n"
    esp = next(part for part in json.loads(run("sfdisk", "--json", image))["partitiontable"]["partitions"]
               if part["type"] == "ef")  # fmt: skip
    reached = f"{image}@@{esp['start'] * 512}"
    # shim starts GRUB, which is beside it, and not what adds to the machine's boot menu.
    assert run("mdir", "-b", "-i", reached, "::/EFI/BOOT").split() == [
        f"::/EFI/BOOT/{name}" for name in ("BOOTX64.EFI", "grub.cfg", "grubx64.efi")
    ]
    find = run("mtype", "-i", reached, "::/EFI/fedora/grub.cfg")
    assert "search --no-floppy --file" in find
    assert (tmp_path / "read/EFI/fedora/grub.cfg").read_text() == find


def test_a_network_system_needs_what_fetches_its_root(dracut_live: Path, tmp_path: Path) -> None:
    (dracut_live / "usr/lib/dracut/modules.d/90livenet").rmdir()
    options = {"identity": IDENTITY, "outputs": [{"format": "pxe", "filename": "a.tar"}]}
    result = assemble(dracut_live, IMAGE, options, tmp_path / "out")
    assert result.status == 1
    assert "dracut's module livenet" in result.log


def test_a_tree_without_live_boot_makes_no_live_disc(tree: Path, tmp_path: Path) -> None:
    options = {"identity": IDENTITY, "outputs": [{"format": "iso", "filename": "a.iso", "label": "a"}]}
    result = assemble(tree, IMAGE, options, tmp_path / "out")
    assert result.status == 1
    assert "install the package live-boot" in result.log
