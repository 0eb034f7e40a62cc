"""What describes a device node is written by anybody in the tree: whatever it is, an image is right or refused."""

import json
import stat
import subprocess
import tarfile

from tests.integration.runner.conftest import Bench

IMAGE = "org.osbuild-compose.image"
IDENTITY = "76a22bf4-f153-4541-b6c7-0332c0dfaeac"
# Attributes of all kinds on files of all kinds; only "node" and its links describe a device.
HOSTILE = r"""
import json, os, sys
os.chdir(json.load(sys.stdin)["tree"])
def put(name, value, data=b""):
    with open(name, "xb") as file:
        file.write(data)
    os.setxattr(name, "user.osbuild-compose.device", value)
os.makedirs("dev/deep/deeper"); os.makedirs("etc")
values = [b"", b"c", b"c 1", b"c 1 3 4", b"c -1 3", b"c 1e3 3", b"c 4096 0", b"c 0 1048576", b"C 1 3", b"c  1 3"]
values += [b"c 1 3\0", b"c 1 3\n", b"\xff\xfe", b"c " + b"9" * 1000 + b" 1", b"c 0x1 3", "c \u0661 \u0663".encode()]
values += [b"b/../../etc 1 3"]
for number, value in enumerate(values):
    put(f"etc/{number:02}", value)
put("etc/full", b"c 1 3", b"content")
put("etc/setuid", b"c 1")
os.chmod("etc/setuid", 0o4755)
os.setxattr("dev/deep", "user.osbuild-compose.device", b"b 8 0")
os.symlink("/etc/shadow", "dev/link")
os.mkfifo("dev/fifo")
node = b"dev/deep/deeper/\xff no\\de: %(p)s\n$(id)"
put(node, b"b 259 70000")
os.chmod(node, 0o4640)
for name in (b"dev/again", b"etc/again", b"-rf"):
    os.link(node, name)
"""
NAMES = {"dev/again", "etc/again", "-rf"}
FORMATS = ("ext4", "xfs", "btrfs", "squashfs", "erofs", "tar", "cpio")


def test_only_what_describes_a_device_becomes_one(bench: Bench) -> None:
    bench.program("org.test.hostile", HOSTILE)
    out = bench.place / "out"
    outputs = [{"format": kind, "filename": kind} for kind in FORMATS]
    ran = bench.run(
        "org.test.hostile",
        assembler=(IMAGE, {"identity": IDENTITY, "outputs": outputs}),
        args=("--output-directory", out),
    )
    assert ran.returncode == 0, ran.result.get("error")
    with tarfile.open(out / "tar", errors="surrogateescape") as tar:
        found = {one.name.removeprefix("./"): one for one in tar}
    (node,) = (name for name, one in found.items() if one.isblk() or one.ischr())
    links = {name for name, one in found.items() if one.islnk()}
    assert {node, *links} == {*NAMES, "dev/deep/deeper/\udcff no\\de: %(p)s\n$(id)"}
    assert (found[node].devmajor, found[node].devminor, found[node].mode) == (259, 70000, 0o4640)
    assert found["dev/deep"].isdir()
    assert found["etc/setuid"].mode == 0o4755
    assert all(found[f"etc/{number:02}"].isreg() for number in range(17))
    for argv in (["e2fsck", "-fn"], ["xfs_repair", "-n", "-f"], ["btrfs", "check", "--readonly"], ["fsck.erofs"]):
        kind = {"e2fsck": "ext4", "xfs_repair": "xfs", "btrfs": "btrfs", "fsck.erofs": "erofs"}[argv[0]]
        done = subprocess.run([*argv, out / kind], capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    listing = subprocess.run(["unsquashfs", "-lln", out / "squashfs"], capture_output=True, check=True).stdout
    rows = listing.decode(errors="surrogateescape").splitlines()
    assert sum(row.startswith("brwS") for row in rows) == 4
    assert not [row for row in rows if row.startswith("c")]


def test_what_a_format_cannot_hold_is_refused_by_name(bench: Bench) -> None:
    bench.program("org.test.hostile", HOSTILE.replace("b 259 70000", "b 4095 1048575").replace(r"\xff no", "no"))
    outputs = [{"format": "xfs", "filename": "xfs"}]
    ran = bench.run("org.test.hostile", assembler=(IMAGE, {"identity": IDENTITY, "outputs": outputs}))
    assert ran.returncode == 1
    assert "a device node of XFS has numbers up to 511:262143, this one is 4095:1048575" in json.dumps(ran.result)


def test_nobody_makes_a_node_on_this_machine(bench: Bench) -> None:
    """Neither where trees are unpacked nor in the store, as root neither."""
    bench.program("org.test.hostile", HOSTILE)
    bench.program("org.test.none", "pass")
    assert bench.run("org.test.hostile").returncode == 0
    subprocess.run(["rm", "-rf", "--one-file-system", bench.scratch], check=True) if bench.account.is_root else None
    assert bench.run("org.test.hostile", "org.test.none").returncode == 0
    listing = ["find", bench.place, "(", "-type", "b", "-o", "-type", "c", ")", "-printf", "%p %m\n"]
    done = subprocess.run(listing, capture_output=True, text=True, check=False)
    assert done.stdout == ""
    assert not any(stat.S_ISBLK(path.lstat().st_mode) for path in bench.store.rglob("*"))
