"""Assemblers on real trees: what is in the image, and that it is the same image every time."""

import contextlib
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from stagelib import selinux
from stagelib.disk import labels

from tests.integration.assembling import EPOCH, MIB, ROOT_UUID, assemble, copy, disk_options

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes trees with owners and devices: needs root")

QEMU = "org.osbuild.qemu"
ROOT_AT = MIB
LABELS = {
    "/": "root_t",
    "/etc": "etc_t",
    "/etc/shadow": "shadow_t",
    "/etc/hostname": "hostname_t",
    "/etc/long-link": "etc_t",
    "/usr/bin/su": "bin_t",
    "/usr/lib": "lib_link_t",
    "/usr/share/many/0001-f": "many_t",
    "/usr/share/many/0899-" + "f" * 19: "many_t",
    "/home/a b": "home_t",
    "/lost+found": "lost_found_t",
    "/" + "n" * 255: "default_t",
}
FORMATS = ("raw", "raw.xz", "qcow2", "vdi", "vmdk", "vpc", "vhdx")


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory on tmpfs."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as path:
        yield Path(path)


@pytest.fixture(scope="module")
def disk(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw disk with the difficult tree."""
    out = tmp_path_factory.mktemp("disk")
    result = assemble(tree, QEMU, disk_options(), out)
    assert result.status == 0, result.log
    return out / "disk.img"


def run(*argv: str | Path) -> str:
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


def debugfs(disk: Path, request: str, at: int = ROOT_AT) -> str:
    return run("debugfs", "-R", request, f"{disk}?offset={at}")


def e2fsck(disk: Path, at: int = ROOT_AT) -> None:
    run("e2fsck", "-f", "-n", f"{disk}?offset={at}")


@contextlib.contextmanager
def overlaid(lower: list[Path]) -> Iterator[Path]:
    """The directories as one overlay; skips where overlays cannot be mounted."""
    with tempfile.TemporaryDirectory() as base:
        dirs = ":".join(map(str, lower))
        done = subprocess.run(["mount", "-t", "overlay", "-o", f"lowerdir={dirs}", "overlay", base], check=False)
        if done.returncode != 0:
            pytest.skip("this machine's kernel mounts no overlays of these directories")
        try:
            yield Path(base)
        finally:
            run("umount", base)


def test_noop_prints_its_options(tree: Path, tmp_path: Path) -> None:
    result = assemble(tree, "org.osbuild.noop", {"zero": 0}, tmp_path / "out")
    assert result.status == 0
    assert '{"zero": 0}' in result.log
    assert list((tmp_path / "out").iterdir()) == []


def test_disk_has_one_bootable_partition_from_1_mib_to_the_end(disk: Path) -> None:
    table = run("sfdisk", "--dump", disk)
    assert "label: dos" in table
    assert "label-id: 0x14fc63d2" in table
    assert f"start=        2048, size=      {64 * 2048 - 2048}, type=83, bootable" in table
    assert disk.stat().st_size == 64 * MIB
    assert disk.stat().st_blocks * 512 < 24 * MIB


def test_file_system_is_clean_fills_the_partition_and_has_its_uuid(disk: Path) -> None:
    e2fsck(disk)
    header = debugfs(disk, "stats -h")
    assert f"Filesystem UUID:          {ROOT_UUID}" in header
    assert f"Block count:              {63 * MIB // 4096}\n" in header
    assert "metadata_csum" in header
    assert "orphan_file" not in header


def test_boot_code_is_grubs(disk: Path) -> None:
    with disk.open("rb") as file:
        first = file.read(512)
        core = file.read(512)
    assert b"GRUB" in first[:440]
    assert first[0x5C:0x64] == (1).to_bytes(8, "little")
    assert core[500:508] == (2).to_bytes(8, "little")
    assert core[:4] != bytes(4)


def test_image_has_all_of_the_tree(disk: Path, tree: Path, tmp_path: Path) -> None:
    debugfs(disk, f"rdump / {tmp_path}")
    for path in tree.rglob("*"):
        name = path.relative_to(tree)
        if path.is_symlink():
            assert (tmp_path / name).readlink() == path.readlink()
        elif path.is_file():
            assert (tmp_path / name).read_bytes() == path.read_bytes(), name
    assert "Type: FIFO" in debugfs(disk, "stat /dev/fifo")
    assert "Device major/minor number: 01:03" in debugfs(disk, "stat /dev/null")


def test_image_has_owners_modes_links_and_attributes(disk: Path) -> None:
    shadow = debugfs(disk, "stat /etc/shadow")
    assert "Mode:  0640" in shadow
    assert "User:     0   Group:    42" in shadow
    assert "Mode:  04755" in debugfs(disk, "stat /usr/bin/su")
    assert "Mode:  01777" in debugfs(disk, "stat /var/tmp")
    assert "User: 70000   Group: 70001" in debugfs(disk, 'stat "/home/a b"')
    ping = debugfs(disk, "stat /usr/bin/ping")
    assert "Links: 3" in ping
    assert "security.capability (20) = 01 00 00 02 00 20" in ping
    assert debugfs(disk, "stat /etc/ping6").splitlines()[1] == ping.splitlines()[1]
    hostname = debugfs(disk, "stat /etc/hostname")
    assert "security.selinux" not in hostname  # it was this machine's
    assert "system.posix_acl_access" in hostname
    assert all(f"user.{name} (50)" in hostname for name in "amz")
    assert "system.posix_acl_default" in debugfs(disk, 'stat "/home/a b"')


def test_holes_stay_holes(disk: Path) -> None:
    assert "Blockcount: 8\n" in debugfs(disk, "stat /var/sparse")
    assert "Size: 20971520" in debugfs(disk, "stat /var/sparse")


def test_root_directory_is_the_trees(disk: Path) -> None:
    root = debugfs(disk, "stat /")
    assert "Mode:  0750" in root
    assert f"mtime: {EPOCH - 5:#010x}" in root


def test_times_are_the_epoch_but_those_of_modification_the_trees(disk: Path) -> None:
    for path, mtime in (("/etc/hostname", 1_500_000_000), ("/etc/shadow", EPOCH + 1000), ("/lost+found", EPOCH - 5)):
        info = debugfs(disk, f"stat {path}")
        assert f" mtime: {mtime:#010x}" in info, path
        for name in ("ctime", "atime", "crtime"):
            assert f"{name}: {EPOCH:#010x}" in info, path
    header = debugfs(disk, "stats -h")
    times = [
        line for line in header.splitlines() if line.startswith(("Filesystem created", "Last write", "Last checked"))
    ]
    assert len({line.split(":", 1)[1].strip() for line in times}) == 1


def test_same_tree_makes_the_same_disk_wherever_it_lies(disk: Path, tree: Path, memory: Path, tmp_path: Path) -> None:
    expected = disk.read_bytes()

    def check(of: Path, where: str) -> None:
        out = tmp_path / "out"
        result = assemble(of, QEMU, disk_options(), out)
        assert result.status == 0, result.log
        assert (out / "disk.img").read_bytes() == expected, where

    copy(tree, memory / "tree", backwards=True)
    check(memory / "tree", "tmpfs, entries made backwards")
    copy(tree, tmp_path / "dense", sparse="never")
    check(tmp_path / "dense", "disk, holes filled")
    # A tree in two layers, as the runner stacks them.
    upper = memory / "upper"
    copy(tree, upper)
    lower = memory / "tree"
    shutil.rmtree(upper / "usr/share/many")
    shutil.rmtree(lower / "home")
    (lower / "etc/hostname").write_text("hidden by the upper layer")
    times = (tree / "usr/share").stat()
    os.utime(upper / "usr/share", ns=(5, times.st_mtime_ns))
    with overlaid([upper, lower]) as merged:
        check(merged, "overlay")


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_the_same_disk_and_the_same_bytes(disk: Path, tree: Path, tmp_path: Path, kind: str) -> None:
    images = []
    for number in range(2):
        out = tmp_path / str(number)
        result = assemble(tree, QEMU, disk_options(format=kind, filename="disk"), out)
        assert result.status == 0, result.log
        assert [path.name for path in out.iterdir()] == ["disk"]
        images.append(out / "disk")
    assert images[0].read_bytes() == images[1].read_bytes()
    assert images[0].stat().st_blocks * 512 < 24 * MIB
    if kind == "raw.xz":
        assert subprocess.run(["xz", "-dc", images[0]], check=True, capture_output=True).stdout == disk.read_bytes()
        return
    run("qemu-img", "compare", "-F", kind, disk, images[0])
    if kind not in ("raw", "vpc"):
        run("qemu-img", "check", "-f", kind, images[0])
    # Opens for writing: headers are valid. What is written in one go, a vmdk for streaming, takes no further writes.
    change = ["-c", "write 0 512"] if kind != "vmdk" else []
    run("qemu-io", "-f", kind, "-c", "read 0 1M", *change, images[1])


@pytest.mark.parametrize("compression", ["zstd", "zlib"])
def test_qcow2_can_be_compressed(disk: Path, tree: Path, tmp_path: Path, compression: str) -> None:
    options = disk_options(format="qcow2", compression=compression)
    result = assemble(tree, QEMU, options, tmp_path)
    assert result.status == 0, result.log
    assert f"compression type: {compression}" in run("qemu-img", "info", tmp_path / "disk.img")
    run("qemu-img", "compare", "-F", "qcow2", disk, tmp_path / "disk.img")


def test_tree_that_does_not_fit_is_reported_with_the_size_that_does(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "big").write_bytes(os.urandom(40 * MIB))
    result = assemble(tree, QEMU, disk_options(size=32 * MIB), tmp_path / "out")
    assert result.status == 1
    assert re.search(
        r"error: root \(/\): 31.0 MiB is too small, its content needs \d+.\d MiB: \d+.\d MiB too", result.log
    )
    assert "most of it is / 40.0 MiB" in result.log
    assert list((tmp_path / "out").iterdir()) == []
    enough = int(result.log.split("make it ")[1].split()[0]) * MIB + MIB  # of the partition, behind the first MiB
    assert assemble(tree, QEMU, disk_options(size=enough), tmp_path / "out").status == 0
    assert enough < 80 * MIB


def test_many_small_files_get_enough_inodes(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(5000):
        (tree / str(number)).touch()
    result = assemble(tree, QEMU, disk_options(size=16 * MIB), tmp_path / "out")
    assert result.status == 0, result.log
    e2fsck(tmp_path / "out/disk.img")


@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_full_disk_is_reported(tree: Path, tmp_path: Path, kind: str) -> None:
    result = assemble(tree, QEMU, disk_options(format=kind), tmp_path / "out", room=MIB)
    assert result.status == 1
    assert "error: no space left for the image" in result.log
    assert "Traceback" not in result.log


def test_missing_tools_are_reported_with_their_packages(tree: Path, tmp_path: Path) -> None:
    for hide, package in (
        ("/usr/lib/grub/i386-pc", "grub-pc-bin (Debian, Ubuntu) or grub2-pc-modules (Fedora, CentOS)"),
        ("/usr/bin/qemu-img", "qemu-utils (Debian, Ubuntu) or qemu-img (Fedora, CentOS)"),
        ("/usr/sbin/mke2fs", "e2fsprogs (Debian, Ubuntu) or e2fsprogs (Fedora, CentOS)"),
    ):
        result = assemble(tree, QEMU, disk_options(format="qcow2"), tmp_path / "out", hide=hide)
        assert result.status == 1
        assert package in result.log
        assert "Traceback" not in result.log
        assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_rawfs(tree: Path, tmp_path: Path, kind: str) -> None:
    options = {"filename": "root.img", "root_fs_uuid": ROOT_UUID, "size": "512M", "fs_type": kind}
    result = assemble(tree, "org.osbuild.rawfs", options, tmp_path)
    assert result.status == 0, result.log
    image = tmp_path / "root.img"
    assert image.stat().st_size == 512 * MIB
    if kind == "ext4":
        e2fsck(image, 0)
        assert "Mode:  0640" in debugfs(image, "stat /etc/shadow", 0)
    else:
        run("xfs_repair", "-n", "-f", image)


@pytest.mark.parametrize("compression", [None, "bzip2", "gzip", "lzip", "lzma", "lzop", "xz", "zstd"])
def test_tar(tree: Path, memory: Path, tmp_path: Path, compression: str | None) -> None:
    program = "xz" if compression == "lzma" else compression
    if program is not None and shutil.which(program) is None:
        pytest.skip(f"no {program} here")
    copy(tree, memory / "tree", backwards=True)
    options = {"filename": "root.tar", **({"compression": compression} if compression else {})}
    for number, source in enumerate((tree, memory / "tree")):
        result = assemble(source, "org.osbuild.tar", options, tmp_path / str(number))
        assert result.status == 0, result.log
    archive = tmp_path / "0/root.tar"
    assert archive.read_bytes() == (tmp_path / "1/root.tar").read_bytes()
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    run(
        "tar",
        "-C",
        unpacked,
        *([f"--{compression}"] if compression else []),
        "--xattrs",
        "--xattrs-include=*",
        "--acls",
        "-xpf",
        archive,
    )
    assert (unpacked / "etc/hostname").read_text() == "difficult\n"
    assert os.getxattr(unpacked / "usr/bin/ping", "security.capability") == os.getxattr(
        tree / "usr/bin/ping", "security.capability"
    )
    with pytest.raises(OSError, match="No data available"):
        os.getxattr(unpacked / "etc/hostname", "security.selinux")  # it was this machine's
    assert (unpacked / "etc/shadow").stat().st_gid == 42
    assert (unpacked / "etc/shadow").stat().st_mtime == EPOCH + 1000
    assert (unpacked / "etc/hostname").stat().st_mtime == 1_500_000_000
    assert (unpacked / "etc/ping6").stat().st_nlink == 3


def test_disk_has_labels_and_not_the_record(labelled: Path, tmp_path: Path) -> None:
    result = assemble(labelled, QEMU, disk_options(), tmp_path)
    assert result.status == 0, result.log
    disk = tmp_path / "disk.img"
    e2fsck(disk)
    for path, kind in LABELS.items():
        told = debugfs(disk, f'ea_get -V "{path}" security.selinux')
        assert told.splitlines()[-1] == f"system_u:object_r:{kind}:s0\0", path
    assert "attribute key not found" in debugfs(disk, "ea_get /dev/null security.selinux")
    ping = debugfs(disk, "stat /usr/bin/ping")
    assert "security.capability (20) = 01 00 00 02 00 20" in ping
    assert all(f"user.{name} (50)" in debugfs(disk, "stat /etc/hostname") for name in "amz")
    assert selinux.RECORD not in debugfs(disk, "ls /")
    assert b'"file_contexts"' not in disk.read_bytes()


def test_archive_has_labels_and_not_the_record(labelled: Path, tmp_path: Path) -> None:
    result = assemble(labelled, "org.osbuild.tar", {"filename": "root.tar"}, tmp_path)
    assert result.status == 0, result.log
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    run("tar", "-C", unpacked, "--xattrs", "--xattrs-include=*", "-xpf", tmp_path / "root.tar")
    for path, kind in LABELS.items():
        if path != "/lost+found":
            found = os.getxattr(f"{unpacked}{path}", "security.selinux", follow_symlinks=False)
            assert found == f"system_u:object_r:{kind}:s0\0".encode(), path
    assert selinux.RECORD not in os.listdir(unpacked)
    with tarfile.open(tmp_path / "root.tar") as tar:
        assert tar.getmember("./etc/hostname").pax_headers["RHT.security.selinux"] == "system_u:object_r:hostname_t:s0"


@pytest.mark.skipif(shutil.which("setfiles") is None, reason="setfiles (policycoreutils) is not installed")
def test_labels_are_those_that_setfiles_sets(labelled: Path, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    copy(labelled, tree)
    found = labels.of_tree(str(tree))
    contexts = tree / "etc/selinux/targeted/contexts/files/file_contexts"
    run("setfiles", "-F", "-r", tree, contexts, tree)
    for path in (tree, *tree.rglob("*")):
        name = f"/{path.relative_to(tree)}" if path != tree else "/"
        try:
            label = os.getxattr(path, "security.selinux", follow_symlinks=False).decode().rstrip("\0")
        except OSError:
            label = None
        # Of links to one file setfiles takes the one that it comes upon first, wherever that is.
        if name != f"/{selinux.RECORD}" and (path.is_dir() or path.lstat().st_nlink == 1):
            assert found.get(name) == label, name


def test_compressor_that_is_missing_is_reported(tree: Path, tmp_path: Path) -> None:
    options = {"filename": "root.tar", "compression": "zstd"}
    result = assemble(tree, "org.osbuild.tar", options, tmp_path / "out", hide="/usr/bin/zstd")
    assert result.status == 1
    assert "package zstd (Debian" in result.log
    assert list((tmp_path / "out").iterdir()) == []
