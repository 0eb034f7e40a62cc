"""Disks of many partitions: what is in each file system, checked and read back by the file systems' own tools."""

import filecmp
import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.assembling import EPOCH, MIB, assemble, make_difficult_tree

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes trees with owners and devices: needs root")

IMAGE = "org.osbuild-compose.image"
NAMES = ("esp", "boot", "home", "srv", "many", "swap", "root")


def uuid(number: int) -> str:
    return f"76a22bf4-f153-4541-b6c7-0332c0dfae{number:02}"


def partition(kind: str, name: str, number: int, fs: str = "", mount: str = "", **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"type": kind, "name": name, "uuid": uuid(number), **more}
    if fs:
        made["filesystem"] = {"type": fs, "uuid": "1234-ABCD" if fs == "vfat" else uuid(number + 50)}
        made["filesystem"] |= {"mountpoint": mount} if mount else {}
    return made


PARTITIONS = [
    partition("esp", "esp", 1, "vfat", "/boot/efi", size=64 * MIB),
    partition("xbootldr", "boot", 2, "ext4", "/boot"),
    partition("home", "home", 3, "btrfs", "/home"),
    partition("srv", "srv", 4, "squashfs", "/srv"),
    partition("linux", "many", 5, "erofs", "/usr/share/many"),
    partition("swap", "swap", 6, "swap", size=8 * MIB),
    partition("root-x86-64", "root", 8, "ext4", "/", grow=True),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("layout") / "tree"
    made.mkdir()
    make_difficult_tree(made)
    for directory in ("boot/efi/EFI/BOOT", "srv/data", "home/user"):
        (made / directory).mkdir(parents=True)
    (made / "boot/vmlinuz").write_bytes(b"kernel" * 100000)
    (made / "boot/efi/EFI/BOOT/BOOTX64.EFI").write_bytes(b"MZ" * 100000)
    (made / "srv/data/file").write_text("served")
    (made / "home/user/note").write_text("mine")
    (made / "boot").chmod(0o700)
    return made


def options(sector: int = 512, **more: Any) -> dict[str, Any]:
    disk = {"uuid": uuid(99), "sector_size": sector, "free": 16 * MIB, "partitions": PARTITIONS, **more}
    return {"identity": uuid(98), "disk": disk, "outputs": [{"format": "raw", "filename": "disk.raw"}]}


def run(*argv: object) -> str:
    return subprocess.run(
        [str(word) for word in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True, text=True
    ).stdout


def split(image: Path, parts: Path) -> dict[str, Path]:
    """Each partition of the image as a file of its own, as sfdisk finds them."""
    parts.mkdir()
    found = {}
    for item in json.loads(run("sfdisk", "--json", image))["partitiontable"]["partitions"]:
        found[item["name"]] = parts / item["name"]
        where = (f"skip={item['start']}", f"count={item['size']}")
        run("dd", f"if={image}", f"of={parts / item['name']}", "bs=512", *where, "conv=sparse", "status=none")
    return found


def test_every_file_system_is_whole_and_holds_its_part_of_the_tree(tree: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        result = assemble(tree, IMAGE, options(), tmp_path / str(number))
        assert result.status == 0, result.log
    image = tmp_path / "1/disk.raw"
    assert "No errors detected" in run("sfdisk", "--verify", image)
    parts, again = split(image, tmp_path / "parts"), split(tmp_path / "2/disk.raw", tmp_path / "again")
    for name in NAMES:
        assert hashlib.sha256(parts[name].read_bytes()).digest() == hashlib.sha256(again[name].read_bytes()).digest(), (
            name
        )
    for name in ("boot", "root"):
        run("e2fsck", "-fn", parts[name])
    run("fsck.vfat", "-n", parts["esp"])
    run("btrfs", "check", "--readonly", parts["home"])
    assert run("blkid", "-o", "value", "-s", "TYPE", parts["swap"]).strip() == "swap"

    assert run("mtype", "-i", parts["esp"], "::/EFI/BOOT/BOOTX64.EFI") == "MZ" * 100000
    run("debugfs", "-R", f"dump /vmlinuz {tmp_path}/vmlinuz", parts["boot"])
    assert (tmp_path / "vmlinuz").read_bytes() == (tree / "boot/vmlinuz").read_bytes()
    assert "EFI" not in run("debugfs", "-R", "ls -p /efi", parts["boot"])
    assert "vmlinuz" not in run("debugfs", "-R", "ls -p /boot", parts["root"])
    assert "Mode:  0700" in run("debugfs", "-R", "stat /boot", parts["root"])  # like what is mounted over it
    assert "note" not in run("debugfs", "-R", "ls -p /home", parts["root"])

    run("btrfs", "restore", parts["home"], tmp_path_of(tmp_path, "home"))
    assert (tmp_path / "home/user/note").read_text() == "mine"
    run("unsquashfs", "-d", tmp_path / "srv", parts["srv"])
    assert (tmp_path / "srv/data/file").read_text() == "served"
    run("fsck.erofs", f"--extract={tmp_path}/many", parts["many"])
    names = sorted(path.name for path in (tree / "usr/share/many").iterdir())
    assert sorted(path.name for path in (tmp_path / "many").iterdir()) == names
    assert all(
        (tmp_path / "many" / name).read_bytes() == (tree / "usr/share/many" / name).read_bytes() for name in names
    )


def tmp_path_of(directory: Path, name: str) -> Path:
    (directory / name).mkdir()
    return directory / name


def test_sectors_of_4096_bytes(tree: Path, tmp_path: Path) -> None:
    result = assemble(tree, IMAGE, options(sector=4096), tmp_path)
    assert result.status == 0, result.log
    image = tmp_path / "disk.raw"
    data = image.read_bytes()
    assert data[4096:4104] == b"EFI PART" == data[-4096:][:8]
    first = int.from_bytes(data[8192 + 32 : 8192 + 40], "little") * 4096
    esp = tmp_path / "esp"
    esp.write_bytes(data[first : first + 64 * MIB])
    assert int.from_bytes(data[first + 11 : first + 13], "little") == 4096
    run("fsck.vfat", "-n", esp)


def test_many_formats_come_from_one_disk(tree: Path, tmp_path: Path) -> None:
    wanted = options()
    formats = {"qcow2": "a.qcow2", "raw": "a.raw", "vmdk": "a.vmdk", "raw.zst": "a.raw.zst", "tar.zst": "a.tar.zst"}
    wanted["outputs"] = [{"format": kind, "filename": name} for kind, name in formats.items()]
    result = assemble(tree, IMAGE, wanted, tmp_path)
    assert result.status == 0, result.log
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(formats.values())
    for kind in ("qcow2", "vmdk"):
        run("qemu-img", "compare", "-F", kind, "-f", "raw", tmp_path / "a.raw", tmp_path / f"a.{kind}")
    run("qemu-img", "check", tmp_path / "a.qcow2")
    run("zstd", "-q", "-d", tmp_path / "a.raw.zst", "-o", tmp_path / "b.raw")
    run("cmp", tmp_path / "a.raw", tmp_path / "b.raw")


def refusal(tree: Path, tmp_path: Path, *partitions: dict[str, Any], **disk: Any) -> str:
    result = assemble(tree, IMAGE, options(partitions=list(partitions), **disk), tmp_path / "out")
    assert result.status == 1
    assert "Traceback" not in result.log
    assert list((tmp_path / "out").iterdir()) == []  # no half image
    return result.log


def test_what_cannot_be_made_is_refused_with_the_reason(tree: Path, tmp_path: Path) -> None:
    root = partition("linux", "root", 1, "ext4", "/")
    big = partition("linux", "root", 1, "ext4", "/", size=4 * MIB)
    assert "too small, its content needs" in refusal(tree, tmp_path, big)
    fat = partition("esp", "esp", 1, "vfat", "/dev", size=64 * MIB)
    assert "FAT holds files and directories only, and fifo is neither" in refusal(tree, tmp_path, fat)
    gone = partition("linux", "gone", 2, "ext4", "/not/there")
    assert "the tree has no directory /not/there" in refusal(tree, tmp_path, root, gone)
    link = partition("linux", "link", 2, "ext4", "/usr/lib")
    assert "leads through a symlink" in refusal(tree, tmp_path, root, link)
    bios = refusal(tree, tmp_path, root, bios_grub=True)
    assert "GRUB for BIOS needs a BIOS boot partition" in bios


def test_files_in_fat_have_the_time_of_the_build(tree: Path, tmp_path: Path) -> None:
    assert assemble(tree, IMAGE, options(), tmp_path).status == 0
    parts = split(tmp_path / "disk.raw", tmp_path / "parts")
    assert EPOCH == 1_700_000_000
    assert "2023-11-14" in run("mdir", "-i", parts["esp"], "::/EFI/BOOT/BOOTX64.EFI")


def test_a_partition_of_hashes_checks_what_is_in_another(tree: Path, tmp_path: Path) -> None:
    copied = tmp_path / "tree"
    shutil.copytree(tree / "srv", copied / "srv")
    (copied / "etc").mkdir()
    (copied / "etc/veritytab").write_text(
        "srv PARTLABEL=srv PARTLABEL=srv-verity @roothash:/srv@\nnone - - @roothash:/@\n"
    )
    (copied / "etc/veritytab").chmod(0o600)

    def hashes(number: int, filename: str) -> dict[str, Any]:
        return {"of": number, "uuid": uuid(40 + number), "salt": "ab" * 32, "filename": filename}

    root, root_hashes = (partition(f"root-x86-64{kind}", f"root{kind}", 3) for kind in ("", "-verity"))
    for item in (root, root_hashes):
        del item["uuid"]
    root["filesystem"] = {"type": "ext4", "uuid": uuid(53), "mountpoint": "/"}
    items = [
        partition("srv", "srv", 1, "squashfs", "/srv"),
        partition("linux", "srv-verity", 2, hashes=hashes(1, "a.srv.roothash")),
        root,
        {**root_hashes, "hashes": hashes(3, "a.roothash")},
    ]
    wanted = options(partitions=items, root_hash_files=["/etc/veritytab"])
    for number in (1, 2):
        result = assemble(copied, IMAGE, wanted, tmp_path / str(number))
        assert result.status == 0, result.log
    names = sorted(path.name for path in (tmp_path / "1").iterdir())
    assert names == ["a.roothash", "a.srv.roothash", "disk.raw"]
    assert all(filecmp.cmp(tmp_path / "1" / name, tmp_path / "2" / name, shallow=False) for name in names)

    parts = split(tmp_path / "1/disk.raw", tmp_path / "parts")
    srv, root_hash = ((tmp_path / "1" / name).read_text().strip() for name in ("a.srv.roothash", "a.roothash"))
    run("veritysetup", "verify", parts["srv"], parts["srv-verity"], srv)
    run("veritysetup", "verify", parts["root"], parts["root-verity"], root_hash)
    table = json.loads(run("sfdisk", "--json", tmp_path / "1/disk.raw"))["partitiontable"]["partitions"]
    assert [item["uuid"].replace("-", "").lower() for item in table[2:]] == [root_hash[:32], root_hash[32:]]

    # The file in the image has the hash, or zeroes for one that nobody can know; the tree has not.
    told = run("debugfs", "-R", "cat /etc/veritytab", parts["root"]).splitlines()[1:]
    assert told == [f"srv PARTLABEL=srv PARTLABEL=srv-verity {srv}", f"none - - {'0' * 64}"]
    assert "Mode:  0600" in run("debugfs", "-R", "stat /etc/veritytab", parts["root"])
    assert "@roothash:/srv@" in (copied / "etc/veritytab").read_text()

    with parts["srv"].open("r+b") as file:
        file.seek(200)
        file.write(b"changed")
    with pytest.raises(subprocess.CalledProcessError):
        run("veritysetup", "verify", parts["srv"], parts["srv-verity"], srv)


def volume_group() -> dict[str, Any]:
    root = {"type": "ext4", "uuid": uuid(51), "mountpoint": "/"}
    srv = {"type": "squashfs", "uuid": uuid(52), "mountpoint": "/srv"}
    volumes = [
        {"name": "root", "uuid": uuid(31), "grow": True, "filesystem": root},
        {"name": "srv", "uuid": uuid(32), "filesystem": srv},
        {"name": "swap-1", "uuid": uuid(33), "size": 9 * MIB, "filesystem": {"type": "swap", "uuid": uuid(53)}},
        {"name": "empty", "uuid": uuid(34), "minimum": MIB},
    ]
    return {"name": "the-group", "uuid": uuid(30), "pv_uuid": uuid(29), "volumes": volumes}


def volume_places(text: str) -> dict[str, tuple[int, int]]:
    """First extent and number of extents of each logical volume in a group's description."""
    volume = re.compile(r"(\S+) \{\nid = .*?\nextent_count = (\d+)\n.*?\"pv0\", (\d+)\n", re.DOTALL)
    return {name: (int(first), int(count)) for name, count, first in volume.findall(text.partition("logical_v")[2])}


def test_lvm_finds_its_volumes_and_their_content(tree: Path, tmp_path: Path) -> None:
    group = partition("lvm", "group", 1, lvm=volume_group(), grow=True)
    for number in (1, 2):
        result = assemble(tree, IMAGE, options(partitions=[group], size=300 * MIB), tmp_path / str(number))
        assert result.status == 0, result.log
    assert filecmp.cmp(tmp_path / "1/disk.raw", tmp_path / "2/disk.raw", shallow=False)
    part = split(tmp_path / "1/disk.raw", tmp_path / "parts")["group"]
    # pvck checks all checksums; what is wrong it says in lines with CHECK.
    headers = run("pvck", "--dump", "headers", part)
    assert "CHECK" not in headers
    assert "# vgname the-group seqno 1" in headers
    text = run("pvck", "--dump", "metadata", part)
    total = int(re.findall(r"pe_count = (\d+)", text)[0])
    assert total == (part.stat().st_size - MIB) // (4 * MIB)
    root = total - 1 - 3 - 1  # what the others leave
    sizes = volume_places(text)
    assert sizes == {"root": (0, root), "srv": (root, 1), "swap-1": (root + 1, 3), "empty": (root + 4, 1)}
    for name, (first, count) in sizes.items():
        where = (f"skip={1 + 4 * first}", f"count={4 * count}")
        run("dd", f"if={part}", f"of={tmp_path / name}", "bs=1M", *where, "conv=sparse", "status=none")
    run("e2fsck", "-fn", tmp_path / "root")
    assert run("debugfs", "-R", "cat /etc/hostname", tmp_path / "root").endswith("difficult\n")
    assert "served" in run("unsquashfs", "-cat", tmp_path / "srv", "data/file")
    assert run("blkid", "-o", "value", "-s", "TYPE", tmp_path / "swap-1").strip() == "swap"


def test_a_volume_group_is_as_large_as_its_content_or_refused(tree: Path, tmp_path: Path) -> None:
    group = partition("lvm", "group", 1, lvm=volume_group())
    assert assemble(tree, IMAGE, options(partitions=[group]), tmp_path / "own").status == 0
    own = (tmp_path / "own/disk.raw").stat().st_size
    told = refusal(tree, tmp_path, {**group, "size": 24 * MIB})
    assert re.search(r"group .*is too small, its content needs", told), told
    given = {**group, "size": own - 10 * MIB}  # less room in the root file system
    assert assemble(tree, IMAGE, options(partitions=[given]), tmp_path / "given").status == 0


def test_what_is_encrypted_can_be_decrypted_and_nothing_of_it_is_left(tree: Path, tmp_path: Path) -> None:
    home = partition("home", "home", 1, "ext4", "/home", luks={"uuid": uuid(60), "passphrase": "of home"})
    group = partition("lvm", "group", 2, lvm=volume_group(), luks={"uuid": uuid(61), "passphrase": "of the group"})
    secrets = {"of home": "pass phrase", "of the group": "another"}
    marked = tmp_path / "tree"
    shutil.copytree(tree / "home", marked / "home")
    (marked / "srv").mkdir()
    marker = b"nobody is to find this"
    (marked / "home/note").write_bytes(marker * 1_500_000)  # 31 MiB: more than what is moved at once
    (marked / "note").write_bytes(marker * 1_000_000)
    for number in (1, 2):
        result = assemble(marked, IMAGE, options(partitions=[home, group]), tmp_path / str(number), secrets=secrets)
        assert result.status == 0, result.log
        assert "pass phrase" not in result.log
    image = tmp_path / "1/disk.raw"
    assert marker not in image.read_bytes()
    assert not filecmp.cmp(image, tmp_path / "2/disk.raw", shallow=False)  # keys are random

    parts = split(image, tmp_path / "parts")
    for name, passphrase, number in (("home", "pass phrase", 60), ("group", "another", 61)):
        key = tmp_path / f"{name}.key"
        key.write_text(passphrase)
        key.chmod(0o600)
        dump = run("cryptsetup", "luksDump", parts[name])
        assert uuid(number) in dump
        assert "aes-xts-plain64" in dump
        assert "argon2id" in dump
        run("cryptsetup", "open", "--test-passphrase", "--key-file", key, parts[name])
        header = tmp_path / f"{name}.header"
        argv = ["cryptsetup", "reencrypt", "--decrypt", "--force-offline-reencrypt", "--batch-mode", "--header", header]
        subprocess.run([*argv, "--key-file", key, parts[name]], check=True, cwd=tmp_path)
    assert subprocess.run(["e2fsck", "-fn", parts["home"]], check=False, capture_output=True).returncode == 0
    run("debugfs", "-R", f"dump /note {tmp_path}/note", parts["home"])
    assert (tmp_path / "note").read_bytes() == marker * 1_500_000
    assert "CHECK" not in run("pvck", "--dump", "headers", parts["group"])


def test_encryption_without_its_passphrase_is_refused(tree: Path, tmp_path: Path) -> None:
    home = partition("home", "home", 1, "ext4", "/home", luks={"uuid": uuid(60), "passphrase": "of home"})
    assert "the passphrase of home was not given" in refusal(tree, tmp_path, home)
    empty = partition("home", "home", 1, luks={"uuid": uuid(60), "passphrase": "of home"})
    assert "an encrypted partition needs a file system" in refusal(tree, tmp_path, empty)


def test_hashes_of_what_changes_are_refused(tree: Path, tmp_path: Path) -> None:
    of = {"of": 1, "uuid": uuid(40), "salt": "ab", "filename": "a.roothash"}
    home = partition("home", "home", 1, "btrfs", "/home")
    assert "its hashes protect has no read-only file system" in refusal(
        tree, tmp_path, home, partition("linux", "h", 2, hashes=of)
    )
    srv = partition("srv", "srv", 1, "squashfs", "/srv")
    told = refusal(tree, tmp_path, srv, partition("linux", "h", 2, hashes=of), root_hash_files=["/usr/lib/nothing"])
    assert "the tree has no file /usr/lib/nothing" in told
