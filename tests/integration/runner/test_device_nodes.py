"""Device nodes arrive in images of every format, whoever builds; other programs read them back."""

import gzip
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from stagelib import devices

from tests.conftest import make_account
from tests.integration.runner.conftest import Bench

CONTEXTS = "/etc/selinux/targeted/contexts/files/file_contexts"
POLICY = r"""
/.*             system_u:object_r:default_t:s0
/dev/.*     -c  system_u:object_r:character_t:s0
/dev/.*     -b  system_u:object_r:block_t:s0
/dev/.*     --  system_u:object_r:wrong_t:s0
"""


@dataclass(frozen=True)
class Node:
    """A device node to make."""

    path: str
    kind: str
    major: int
    minor: int
    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int = 1_500_000_000

    @property
    def type(self) -> str:
        return "character_t" if self.kind == "c" else "block_t"


NODES = (
    Node("dev/null", "c", 1, 3, 0o666),
    Node("dev/sda", "b", 8, 1, 0o660, 0, 6, 2_000_000_000),
    Node("dev/a dir/big", "c", 300, 70000, 0o4640, 7, 65533, 12345),
    Node("dev/block", "b", 259, 1000, 0, 1, 1, 5),
    Node("dev/whiteout", "c", 0, 0, 0o600),
    Node("dev/back\\slash 'q\" *", "c", 4, 255, 0o620, 0, 5),
    Node(os.fsdecode(b"dev/not \xff UTF-8"), "b", 43, 256, 0o600),
)
LINK, LINKED = "dev/a dir/link", "dev/sda"
DIRECTORIES = {"dev/a dir": 999_999_999, "dev": 888_888_888, "etc": 777_777_777}
MAKE = """
import json, os, sys
args = json.load(sys.stdin)
tree, options = args["tree"], args["options"]
for path in options["directories"]:
    os.makedirs(f"{tree}/{path}", exist_ok=True)
os.makedirs(tree + os.path.dirname(options["contexts"]))
with open(tree + options["contexts"], "w") as file:
    file.write(options["policy"])
with open(f"{tree}/etc/empty", "w") as file:
    os.utime(file.fileno(), (1, 1_500_000_000))
for kind, major, minor, mode, uid, gid, mtime, path in options["nodes"]:
    path = os.path.join(tree, path)
    with open(path, "xb") as file:
        os.setxattr(file.fileno(), "user.osbuild-compose.device", f"{kind} {major} {minor}".encode())
    os.chown(path, uid, gid); os.chmod(path, mode); os.utime(path, (1, mtime))
os.link(f"{tree}/{options['link'][1]}", f"{tree}/{options['link'][0]}")
for path, mtime in options["directories"].items():
    os.utime(f"{tree}/{path}", (1, mtime))
"""
FORMATS = ("ext4", "xfs", "btrfs", "squashfs", "erofs", "tar", "cpio", "oci-archive", "wsl")
MORE: dict[str, dict[str, Any]] = {"ext4": {"size": 16 << 20}, "oci-archive": {"architecture": "x86_64"}}
IDENTITY = "76a22bf4-f153-4541-b6c7-0332c0dfaeac"


def outputs(*formats: str) -> dict[str, Any]:
    made = [{"format": name, "filename": name, **MORE.get(name, {})} for name in formats]
    return {"identity": IDENTITY, "outputs": made}


def stages(*, labelled: bool) -> list[Any]:
    nodes = [
        [one.kind, one.major, one.minor, one.mode, one.uid, one.gid, one.mtime, os.fsencode(one.path).decode("latin-1")]
        for one in NODES
    ]
    options = {"nodes": nodes, "link": [LINK, LINKED], "directories": DIRECTORIES}
    options |= {"contexts": CONTEXTS, "policy": POLICY}
    return [("org.test.make", options), *([("org.osbuild.selinux", {"file_contexts": CONTEXTS})] if labelled else [])]


def prepare(bench: Bench) -> None:
    decode = "path = os.path.join(os.fsencode(tree), path.encode('latin-1'))"
    bench.program("org.test.make", MAKE.replace("path = os.path.join(tree, path)", decode))


def build(bench: Bench, *, labelled: bool) -> dict[str, str]:
    """Images of the tree in `out` of the bench's place; returns their digests."""
    prepare(bench)
    out = bench.place / "out"
    ran = bench.run(
        *stages(labelled=labelled),
        assembler=("org.osbuild-compose.image", outputs(*FORMATS)),
        args=("--output-directory", out),
    )
    assert ran.returncode == 0, ran.stderr
    return {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in FORMATS}


def run(*argv: str | bytes | Path, **more: Any) -> str:
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **more)
    output = str(done.stdout.decode(errors="surrogateescape"))
    assert done.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def images(scratch_room: Path, installed: Path) -> Mapping[bool, Path]:
    """The images that an ordinary user built, without and with labels."""
    account = make_account("user", scratch_room, installed)
    made = {}
    for labelled in (False, True):
        place = account.home / f"nodes-{labelled}"
        place.mkdir()
        if os.geteuid() == 0:
            shutil.chown(place, account.name)
        build(Bench(account, place), labelled=labelled)
        made[labelled] = place / "out"
    return made


@pytest.mark.skipif(os.geteuid() != 0, reason="compares root's images with a user's: needs root")
@pytest.mark.parametrize(("labelled", "overlay"), [(False, True), (True, True), (True, False)])
def test_roots_images_and_a_users_are_the_same_bytes(
    images: Mapping[bool, Path], scratch_room: Path, installed: Path, labelled: bool, overlay: bool
) -> None:
    account = make_account("root", scratch_room, installed)
    place = account.home / f"nodes-{labelled}-{overlay}"
    place.mkdir()
    made = build(Bench(account, place, overlay), labelled=labelled)
    users = {name: hashlib.sha256((images[labelled] / name).read_bytes()).hexdigest() for name in FORMATS}
    if not overlay:  # cpio has the number of links of directories, which is 1 on an overlay
        del made["cpio"], users["cpio"]
    assert made == users


def asked(path: str) -> str:
    """The path as a word of debugfs' command."""
    return '"/' + path.replace('"', '""') + '"'


@pytest.mark.parametrize("labelled", [False, True])
def test_ext4_by_debugfs(images: Mapping[bool, Path], tmp_path: Path, labelled: bool) -> None:
    image = images[labelled] / "ext4"
    run("e2fsck", "-fn", image)
    for node in NODES:
        (tmp_path / "ask").write_bytes(os.fsencode(f"stat {asked(node.path)}\nea_list {asked(node.path)}\n"))
        told = run("debugfs", "-f", tmp_path / "ask", image)
        assert f"Type: {'character' if node.kind == 'c' else 'block'} special" in told
        assert re.search(rf"Mode: +0*{node.mode:o} ", told)
        assert re.search(rf"User: +{node.uid} +Group: +{node.gid} ", told)
        assert re.search(rf"evice major/minor number: 0*{node.major}:0*{node.minor} ", told)
        assert f" mtime: {node.mtime:#010x}" in told
        assert f"Links: {2 if node.path == LINKED else 1} " in told
        assert "osbuild-compose" not in told
        assert (f"system_u:object_r:{node.type}:s0" in told) is labelled
    listing = run("debugfs", "-R", "ls -l /dev", image)
    assert re.search(r"60660 \(4\) .* sda\n", listing), "the entry has the type as well"
    assert f" mtime: {DIRECTORIES['dev']:#010x}" in run("debugfs", "-R", "stat /dev", image)


@pytest.mark.parametrize("labelled", [False, True])
def test_xfs_by_xfs_db(images: Mapping[bool, Path], labelled: bool) -> None:
    image = images[labelled] / "xfs"
    run("xfs_repair", "-n", "-f", image)
    for node in (one for one in NODES[:5] if " " not in one.path):  # xfs_db splits words there
        commands = (
            "-c",
            f"path /{node.path}",
            "-c",
            "print core.mode",
            "-c",
            "print core.uid",
            "-c",
            "print core.gid",
            "-c",
            "print u3.dev",
        )
        told = run("xfs_db", "-r", *commands, image)
        found = dict(line.split(" = ") for line in told.splitlines() if " = " in line)
        kind = stat.S_IFCHR if node.kind == "c" else stat.S_IFBLK
        assert int(found["core.mode"], 8) == kind | node.mode
        assert (int(found["core.uid"]), int(found["core.gid"])) == (node.uid, node.gid)
        assert int(found["u3.dev"], 0) == node.major << 18 | node.minor


@pytest.mark.parametrize("labelled", [False, True])
def test_btrfs_by_its_own_check(images: Mapping[bool, Path], labelled: bool) -> None:
    image = images[labelled] / "btrfs"
    run("btrfs", "check", "--readonly", image)
    told = run("btrfs", "inspect-internal", "dump-tree", image)
    for node in NODES:
        kind = stat.S_IFCHR if node.kind == "c" else stat.S_IFBLK
        links = 2 if node.path == LINKED else 1
        number = node.major << 20 | node.minor
        wanted = f"mode {kind | node.mode:o} links {links} uid {node.uid} gid {node.gid} rdev {number}\n"
        assert wanted in re.sub(r" rdev (\d+)\([^)]*\)", r" rdev \1", told)
    assert told.count("type CHRDEV") == 2 * sum(node.kind == "c" for node in NODES)
    assert told.count("type BLKDEV") == 2 * (sum(node.kind == "b" for node in NODES) + 1)
    assert "osbuild-compose" not in told


@pytest.mark.parametrize("labelled", [False, True])
def test_squashfs_by_unsquashfs(images: Mapping[bool, Path], labelled: bool) -> None:
    listing = run("unsquashfs", "-lln", images[labelled] / "squashfs", env={**os.environ, "TZ": "UTC"})
    for node in NODES:
        encoded = devices.Device(node.kind, node.major, node.minor).encoded
        # Version 4.5 shows numbers above 255 as they are stored.
        numbers = rf"(?:{node.major}, *{node.minor}|{encoded >> 8}, *{encoded & 255})"
        kind = stat.S_IFCHR if node.kind == "c" else stat.S_IFBLK
        mode = re.escape(stat.filemode(kind | node.mode))
        row = rf"^{mode} {node.uid}/{node.gid} +{numbers} \S+ \S+ squashfs-root/{re.escape(node.path)}$"
        assert re.search(row, listing, re.MULTILINE), node


@pytest.mark.parametrize("labelled", [False, True])
def test_erofs_by_its_own_check(images: Mapping[bool, Path], labelled: bool) -> None:
    image = images[labelled] / "erofs"
    run("fsck.erofs", image)
    for node in NODES:
        told = run("dump.erofs", os.fsencode(f"--path=/{node.path}"), image)
        assert f"{'char' if node.kind == 'c' else 'block'} dev" in told
        assert re.search(rf"Uid: {node.uid} +Gid: {node.gid} +Access: 0*{node.mode & 0o777:o}/", told)


def file_system_entries(top: Path) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for above, directories, names in os.walk(top):
        for name in (*directories, *names):
            path = os.path.join(above, name)
            info = os.lstat(path)
            if not stat.S_ISREG(info.st_mode) and not stat.S_ISDIR(info.st_mode):
                kind = "c" if stat.S_ISCHR(info.st_mode) else "b"
                numbers = (os.major(info.st_rdev), os.minor(info.st_rdev))
                owner = (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid)
                attributes = {one: os.getxattr(path, one) for one in os.listxattr(path)}
                yield os.path.relpath(path, top), (kind, *numbers, *owner, int(info.st_mtime), attributes)


@contextmanager
def mounted(image: Path, kind: str, top: Path) -> Iterator[None]:
    options = {"xfs": ",norecovery,nouuid", "ext4": ",noload"}.get(kind, "")
    argv: list[str | Path] = ["mount", "-t", kind, "-o", f"loop,ro{options}", image, top]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        pytest.skip(f"{kind} cannot be mounted here: {done.stdout.decode()}")
    try:
        yield
    finally:
        subprocess.run(["umount", top], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts the images: needs root")
@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "squashfs", "erofs"])
def test_the_kernel_finds_them(images: Mapping[bool, Path], tmp_path: Path, kind: str, labelled: bool) -> None:
    with mounted(images[labelled] / kind, kind, tmp_path):
        found = dict(file_system_entries(tmp_path))
        same = os.path.samefile(tmp_path / LINK, tmp_path / LINKED)
        plain = (tmp_path / "etc/empty").lstat()
        times = {path: int((tmp_path / path).stat().st_mtime) for path in DIRECTORIES}
    wanted = {}
    for node in NODES:
        label = {"security.selinux": f"system_u:object_r:{node.type}:s0\0".encode()} if labelled else {}
        mtime = node.mtime if kind != "erofs" else found[node.path][6]  # older versions have no times of files
        wanted[node.path] = (node.kind, node.major, node.minor, node.mode, node.uid, node.gid, mtime, label)
    wanted[LINK] = wanted[LINKED]
    assert found == wanted
    assert same
    assert stat.S_ISREG(plain.st_mode)
    if kind != "erofs":
        assert times == DIRECTORIES | ({"etc": times["etc"]})


def archive_entries(tar: tarfile.TarFile) -> dict[str, tuple[Any, ...]]:
    found: dict[str, tuple[Any, ...]] = {}
    for one in tar:
        if one.ischr() or one.isblk():
            label = one.pax_headers.get("SCHILY.xattr.security.selinux", "").rstrip("\0")
            numbers = (one.devmajor, one.devminor)
            kind = "c" if one.ischr() else "b"
            path = one.name.removeprefix("./")
            found[path] = (kind, *numbers, one.mode, one.uid, one.gid, int(one.mtime), label)
            assert not any("osbuild-compose" in key for key in one.pax_headers)
        elif one.islnk():
            found[one.name.removeprefix("./")] = (one.linkname.removeprefix("./"),)
    return found


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("kind", ["tar", "wsl", "oci-archive"])
def test_archives_have_them(images: Mapping[bool, Path], tmp_path: Path, kind: str, labelled: bool) -> None:
    archive = images[labelled] / kind
    if kind == "oci-archive":
        with tarfile.open(archive) as tar:
            tar.extractall(tmp_path)
        blobs = sorted((tmp_path / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
        archive = blobs[-1]
        config = next(json.loads(blob.read_bytes()) for blob in blobs[:-1] if b"diff_ids" in blob.read_bytes())
        digest = hashlib.sha256(gzip.decompress(archive.read_bytes())).hexdigest()
        assert config["rootfs"]["diff_ids"] == [f"sha256:{digest}"]
    with tarfile.open(archive, errors="surrogateescape") as tar:
        found = archive_entries(tar)
    wanted: dict[str, tuple[Any, ...]] = {}
    for node in NODES:
        label = f"system_u:object_r:{node.type}:s0" if labelled else ""
        wanted[node.path] = (node.kind, node.major, node.minor, node.mode, node.uid, node.gid, node.mtime, label)
    first, second = sorted((LINK, LINKED))  # as tar sorts them
    wanted[first], wanted[second] = wanted[LINKED], (first,)
    assert found == wanted


def test_cpio_by_cpio(images: Mapping[bool, Path]) -> None:
    with (images[False] / "cpio").open("rb") as file:
        listing = run("cpio", "-tv", "--numeric-uid-gid", "--quiet", stdin=file, env={**os.environ, "TZ": "UTC"})
    for node in NODES[:5]:
        kind = stat.S_IFCHR if node.kind == "c" else stat.S_IFBLK
        mode = re.escape(stat.filemode(kind | node.mode))
        row = rf"^{mode} +\d+ {node.uid} +{node.gid} +{node.major}, *{node.minor} .* {re.escape(node.path)}$"
        assert re.search(row, listing, re.MULTILINE), (node, listing)
    assert listing.endswith("empty\n") or "etc/empty" in listing


def test_fat_refuses_them_by_name(scratch_room: Path, installed: Path) -> None:
    account = make_account("user", scratch_room, installed)
    place = account.home / "nodes-fat"
    place.mkdir()
    if os.geteuid() == 0:
        shutil.chown(place, account.name)
    bench = Bench(account, place)
    prepare(bench)
    file_system = {"type": "vfat", "uuid": "1234-ABCD", "mountpoint": "/dev"}
    root = {"type": "ext4", "uuid": IDENTITY, "mountpoint": "/"}
    kinds = (("esp", "1", file_system), ("linux", "2", root))
    partitions = [
        {"type": kind, "name": number, "uuid": IDENTITY[:-1] + number, "filesystem": made}
        for kind, number, made in kinds
    ]
    disk = {"uuid": IDENTITY[:-1] + "9", "partitions": partitions}
    options = {"identity": IDENTITY, "disk": disk, "outputs": [{"format": "raw", "filename": "raw"}]}
    ran = bench.run(*stages(labelled=False), assembler=("org.osbuild-compose.image", options))
    assert ran.returncode == 1
    assert "FAT holds files and directories only" in ran.result["stages"][-1]["output"] + json.dumps(ran.result)


@pytest.mark.parametrize("labelled", [False, True])
def test_in_several_partitions_of_a_disk(scratch_room: Path, installed: Path, tmp_path: Path, labelled: bool) -> None:
    account = make_account("user", scratch_room, installed)
    place = account.home / f"nodes-disk-{labelled}"
    place.mkdir()
    if os.geteuid() == 0:
        shutil.chown(place, account.name)
    bench = Bench(account, place)
    prepare(bench)
    kinds = (("squashfs", "1", "/dev"), ("erofs", "2", "/dev/a dir"), ("ext4", "3", "/"))
    partitions = [
        {
            "type": "linux",
            "name": kind,
            "uuid": IDENTITY[:-1] + number,
            "filesystem": {"type": kind, "uuid": IDENTITY[:-1] + number, "mountpoint": point},
        }
        for kind, number, point in kinds
    ]
    disk = {"uuid": IDENTITY[:-1] + "9", "partitions": partitions}
    options = {"identity": IDENTITY, "disk": disk, "outputs": [{"format": "raw", "filename": "raw"}]}
    ran = bench.run(
        *stages(labelled=labelled),
        assembler=("org.osbuild-compose.image", options),
        args=("--output-directory", place / "out"),
    )
    assert ran.returncode == 0, ran.stderr
    parts = {}
    for item in json.loads(run("sfdisk", "--json", place / "out/raw"))["partitiontable"]["partitions"]:
        parts[item["name"]] = tmp_path / item["name"]
        where = (f"skip={item['start']}", f"count={item['size']}", "bs=512", "conv=sparse", "status=none")
        run("dd", f"if={place / 'out/raw'}", f"of={tmp_path / item['name']}", *where)
    listing = run("unsquashfs", "-lln", parts["squashfs"])
    assert re.search(r"^brw-rw---- 0/6 +8, *1 .* squashfs-root/sda$", listing, re.MULTILINE)
    assert "big" not in listing
    run("fsck.erofs", parts["erofs"])
    assert "char dev" in run("dump.erofs", "--path=/big", parts["erofs"])
    assert "block dev" in run("dump.erofs", "--path=/link", parts["erofs"])
    run("e2fsck", "-fn", parts["ext4"])
