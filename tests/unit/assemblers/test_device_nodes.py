"""Placeholders of device nodes: what is one, and what makers of images make of them."""

import io
import os
import stat
import struct
import tarfile
from pathlib import Path

import pytest
from stagelib import devices
from stagelib.devices import Device
from stagelib.disk import archive, stand_ins
from stagelib.disk.filesystems.ext4 import device_nodes
from stagelib.disk.filesystems.squashfs.device_nodes import Table
from stagelib.disk.filesystems.xfs.writer import inodes
from stagelib.disk.formats import cpio
from stagelib.errors import StageError

from runner.store import devices as runners
from runner.store import tar_format

VALUES = {
    b"c 1 3": Device("c", 1, 3),
    b"b 4095 1048575": Device("b", 4095, 1048575),
    b"c 0 0": Device("c", 0, 0),
    b"c 0001 3": Device("c", 1, 3),
}
NO_VALUES = (b"", b"c", b"c 1", b"c 1 3 ", b" c 1 3", b"c 1 3\n", b"d 1 3", b"c -1 3", b"c +1 3", b"c 4096 1")
NO_VALUES += (b"c 1 1048576", b"c 1 " + b"9" * 6000, b"\xff 1 3", "c \u0661 \u0663".encode(), b"c 1 3 4", b"c\t1\t3")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory whose files may have attributes."""
    try:
        os.setxattr(tmp_path, "user.test", b"1")
    except OSError:
        pytest.skip("files here have no extended attributes")
    return tmp_path


def file(path: Path, value: bytes = b"", data: bytes = b"") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if value:
        os.setxattr(path, devices.XATTR, value)
    return path


def test_what_describes_a_device() -> None:
    assert {value: devices.parse(value) for value in VALUES} == VALUES
    assert [value for value in NO_VALUES if devices.parse(value)] == []


def test_the_runner_and_the_stages_mean_the_same(place: Path) -> None:
    assert runners.XATTR == devices.XATTR
    known = {}
    for number, value in enumerate((*VALUES, *(one[:2000] for one in NO_VALUES))):
        known[file(place / f"{number:02}", value).name] = value
    found = {os.fsdecode(one.path): one for one in runners.find(place, map(os.fsencode, known))}
    assert {known[name]: Device(one.kind, one.major, one.minor) for name, one in found.items()} == VALUES


def test_a_placeholder_looks_like_its_device(place: Path) -> None:
    path = file(place / "node", b"b 259 70000")
    path.chmod(0o4620)
    os.utime(path, ns=(1, 1_234_567_890_123_456_789))
    seen, plain = devices.lstat(str(path)), path.lstat()
    assert stat.S_ISBLK(seen.st_mode)
    assert stat.S_IMODE(seen.st_mode) == 0o4620
    assert seen.st_rdev == os.makedev(259, 70000)
    for name in ("st_ino", "st_dev", "st_nlink", "st_uid", "st_size", "st_mtime", "st_mtime_ns", "st_ctime_ns"):
        assert getattr(seen, name) == getattr(plain, name)
    assert devices.of_file(str(path), plain) == Device("b", 259, 70000)


def test_other_files_are_no_placeholders(place: Path) -> None:
    made = [file(place / "full", b"c 1 3", b"x"), file(place / "none"), file(place / "wrong", b"x 1 3")]
    (place / "link").symlink_to(file(place / "d/node", b"c 1 3"))
    os.setxattr(place, devices.XATTR, b"c 1 3")
    for path in (*made, place / "link", place):
        assert devices.lstat(str(path)) == path.lstat()
    assert devices.placeholders(str(place)) == {"/d/node": Device("c", 1, 3)}
    assert devices.of_file("/dev/null", os.lstat("/dev/null")) == Device("c", 1, 3)


def test_numbers_in_32_bits() -> None:
    assert Device("c", 1, 3).encoded == 0x103
    assert Device("c", 300, 70000).encoded == 70000 & 0xFF | 300 << 8 | (70000 & ~0xFF) << 12
    assert Device("b", 4095, 1048575).encoded == 0xFFFFFFFF


def test_a_marked_file_is_empty_and_still_there(place: Path) -> None:
    outside = file(place / "outside")
    tree = place / "tree"
    file(tree / "empty")
    file(tree / "full", data=b"x")
    (tree / "link").symlink_to("empty")
    (tree / "far").symlink_to(outside)
    os.mkfifo(tree / "fifo")
    for name in ("empty", "full", "link", "far", "fifo", "missing", "missing/too", "empty/too"):
        devices.mark_empty_file(str(tree), name, Device("c", 1, 3))
    assert devices.placeholders(str(place)) == {"/tree/empty": Device("c", 1, 3)}


def test_archives_have_nodes_instead_of_placeholders() -> None:
    packed = io.BytesIO()
    key = f"SCHILY.xattr.{devices.XATTR}"
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, value, size in (("node", "b 300 70000", 0), ("full", "c 1 3", 5), ("wrong", "c 1", 0)):
            info = tarfile.TarInfo(f"./{name}")
            info.pax_headers = {key: value, "SCHILY.xattr.user.other": "kept"}
            info.size, info.mode, info.uid, info.mtime = size, 0o4620, 7, 1234
            tar.addfile(info, io.BytesIO(b"x" * size))
        link = tarfile.TarInfo("./link")
        link.type, link.linkname = tarfile.LNKTYPE, "./node"
        tar.addfile(link)
    for with_devices in (True, False):
        packed.seek(0)
        out = io.BytesIO()
        archive.copy_corrected(packed, out, {"/node": "u:r:t"}, with_devices=with_devices)
        out.seek(0)
        with tarfile.open(fileobj=out) as tar:
            found = {info.name: info for info in tar}
        node = found["./node"]
        numbers = (node.devmajor, node.devminor) if with_devices else (300, 70000)
        assert (node.type, *numbers) == (tarfile.BLKTYPE if with_devices else tarfile.REGTYPE, 300, 70000)
        assert (node.mode, node.uid, node.mtime, node.size) == (0o4620, 7, 1234, 0)
        assert key not in node.pax_headers
        assert node.pax_headers["SCHILY.xattr.user.other"] == "kept"
        assert node.pax_headers["SCHILY.xattr.security.selinux"] == "u:r:t\0"
        for name in ("full", "wrong"):
            assert found[f"./{name}"].type == tarfile.REGTYPE
            assert key in found[f"./{name}"].pax_headers
        assert found["./link"].linkname == "./node"


def member(name: bytes, mode: int, data: bytes = b"") -> bytes:
    """An entry of a cpio archive in the "newc" form."""
    numbers = (1, mode, 0, 0, 1, 5, len(data), 0, 0, 0, 0, len(name) + 1, 0)
    header = b"070701" + b"".join(b"%08X" % number for number in numbers) + name + b"\0"
    return header + bytes(-len(header) % 4) + data + bytes(-len(data) % 4)


def test_cpio_archives_have_nodes_instead_of_placeholders() -> None:
    nodes = {b"dev/node": Device("c", 300, 70000), b"d": Device("b", 8, 1)}
    end = member(b"TRAILER!!!", 0) + bytes(77)
    rest = member(b"file", 0o100644, b"070701dev/node\0"), member(b"other", 0o100600)
    source = rest[0] + member(b"dev/node", 0o100620) + member(b"d", 0o104660) + rest[1] + end
    target = io.BytesIO()
    cpio.copy_with_devices(io.BytesIO(source), target, nodes)
    made = target.getvalue()
    assert len(made) == len(source)
    assert made.startswith(rest[0])
    assert made.endswith(rest[1] + end)
    at = len(rest[0])
    assert made[at + 14 : at + 22] == b"%08X" % 0o020620
    assert made[at + 78 : at + 94] == b"%08X%08X" % (300, 70000)
    assert b"%08X" % 0o064660 in made
    for broken in (source[:300], b"07070X" + source[6:]):
        with pytest.raises(StageError, match=r"cpio made an archive"):
            cpio.copy_with_devices(io.BytesIO(broken), io.BytesIO(), nodes)
    target = io.BytesIO()
    cpio.copy_with_devices(io.BytesIO(b"as it is"), target, {})
    assert target.getvalue() == b"as it is"


@pytest.mark.parametrize(
    ("device", "numbers"),
    [
        (Device("b", 8, 1), (0x801, 0)),
        (Device("c", 255, 255), (0xFFFF, 0)),
        (Device("c", 300, 5), (0, Device("c", 300, 5).encoded)),
        (Device("c", 5, 256), (0, Device("c", 5, 256).encoded)),
    ],
)
def test_inodes_of_ext4(device: Device, numbers: tuple[int, int]) -> None:
    body = bytearray(256)
    struct.pack_into("<H", body, 0, 0o104620)
    struct.pack_into("<I", body, 0x20, 0x80000)
    struct.pack_into("<4H", body, 0x28, 0xF30A, 0, 4, 0)
    struct.pack_into("<H", body, 0x80, 32)
    for attributes in (struct.pack("<I", 0xEA020000), struct.pack("<II", 0xEA020000, 7)):
        body[160 : 160 + len(attributes)] = attributes
        made = device_nodes.node(bytes(body), device)
        assert struct.unpack_from("<H", made)[0] == device.type | 0o4620
        assert struct.unpack_from("<I", made, 0x20)[0] == 0
        assert struct.unpack_from("<II", made, 0x28) == numbers
        assert made[0x30:0x64] == bytes(52)
        assert made[160:] == (bytes(96) if len(attributes) == 4 else body[160:])


def test_attributes_of_a_device_begin_where_xfs_wants_them() -> None:
    inode = inodes.Inode(
        number=130,
        mode=0o20666,
        owner=(0, 0),
        links=1,
        size=0,
        modified=0,
        other=0,
        data=inodes.device(1, 1, 3),
        attributes=inodes.Fork(inodes.LOCAL, b"attributes"),
    )
    body = inodes.packed(inode, bytes(16))
    assert body[82] == 1, "in units of eight bytes"
    assert body[inodes.CORE : inodes.CORE + 18] == struct.pack(">I4x", 1 << 18 | 3) + b"attributes"


def test_tables_of_squashfs_go_on_in_the_next_block() -> None:
    blocks = [bytes([number]) * 8192 for number in (1, 2)] + [b"\3" * 100]
    stored = b"".join(struct.pack("<H", len(one) | 0x8000) + one for one in blocks)
    data = io.BytesIO(b"before" + stored)
    table = Table(data, 6)
    assert table.read(0, 8190, 4) == b"\1\1\2\2"
    assert table.read(8194, 8191, 3) == b"\2\3\3"
    assert table.read(0, 8192 + 5, 2) == b"\2\2"
    table.write(0, 8191, b"ab")
    assert table.read(0, 8190, 4) == b"\1ab\2"
    with pytest.raises(StageError, match="compressed"):
        Table(io.BytesIO(b"\x10\0" + bytes(100)), 0).read(0, 0, 4)


def test_directories_that_lead_to_nodes() -> None:
    nodes = {"/a/b/c": Device("c", 1, 3), "/a/d": Device("b", 8, 1), "/e": Device("c", 1, 5)}
    assert stand_ins.by_directory(nodes) == {
        b"/": {b"a": None, b"e": nodes["/e"]},
        b"/a": {b"b": None, b"d": nodes["/a/d"]},
        b"/a/b": {b"c": nodes["/a/b/c"]},
    }


def test_layers_have_hard_links_among_nodes(place: Path) -> None:
    file(place / "a", b"c 300 70000")
    os.link(place / "a", place / "b")
    found = runners.find(place, (b"a", b"b"))
    assert [one.link for one in found] == [b"", b"a"]
    assert tuple(runners.Device.from_json(one.to_json()) for one in found) == found
    with tarfile.open(fileobj=io.BytesIO(tar_format.device_headers(found) + bytes(1024))) as tar:
        assert [(one.name, one.type, one.linkname) for one in tar] == [("a", b"3", ""), ("b", b"1", "a")]
    target = place / "target"
    target.mkdir()
    runners.make_placeholders(target, found)
    assert (target / "a").samefile(target / "b")
    assert devices.placeholders(str(target)) == {"/a": Device("c", 300, 70000), "/b": Device("c", 300, 70000)}


def test_layers_from_before_links_were_recorded_are_read() -> None:
    old = {"path": "dev/null", "kind": "c", "major": 1, "minor": 3, "mode": 438, "uid": 0, "gid": 0, "mtime_ns": 5}
    assert runners.Device.from_json(old) == runners.Device(b"dev/null", "c", 1, 3, 438, 0, 0, 5)
