"""Pure parts of the store: documents with checksums, digests without holes, the tar format, what changed in a tree."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from runner.store import content, records, tar_format, trust
from runner.store.devices import Device
from runner.store.directories import Places, remove_tree, walk
from runner.store.layer import LayerContents, beyond_tar
from runner.tree import plain


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b"9" * 5000, b'{"a": 1}', b'{"checksum": "x"}']
)
def test_a_damaged_document_is_noticed(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "document"
    records.write(path, {"a": [1, 2.5, None, "\udcff"], "b": {"c": True}})
    assert records.read(path) == {"a": [1, 2.5, None, "\udcff"], "b": {"c": True}}
    path.write_bytes(damage)
    with pytest.raises(records.DamagedError):
        records.read(path)


def test_every_changed_byte_of_a_document_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "document"
    records.write(path, {"name": "org.osbuild.noop", "size": 12, "seconds": 0.5})
    data = path.read_bytes()
    for number in range(len(data)):
        path.write_bytes(data[:number] + bytes([data[number] ^ 1]) + data[number + 1 :])
        with pytest.raises(records.DamagedError):
            records.read(path)


def test_what_is_no_file_is_no_document(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/dev/zero")
    for name in ("fifo", "link", "."):
        with pytest.raises(records.DamagedError):
            records.read(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        records.read(tmp_path / "nothing")


def test_a_digest_passes_over_holes(tmp_path: Path) -> None:
    sparse, full, moved, longer = (tmp_path / name for name in ("sparse", "full", "moved", "longer"))
    for path, holes in ((sparse, True), (full, False)):
        with path.open("wb") as file:
            file.write(b"a" * 10)
            if holes:
                file.seek((9 << 20) + 10)
            else:
                file.write(bytes(9 << 20))
            file.write(b"b" * 10)
    moved.write_bytes(b"a" * 10 + bytes((9 << 20) + 1) + b"b" * 9)
    longer.write_bytes(sparse.read_bytes() + b"\0")
    assert content.sparse_digest(sparse) == content.sparse_digest(full, from_disk=True)
    assert len({content.sparse_digest(path) for path in (sparse, moved, longer)}) == 3
    with (tmp_path / "enormous").open("wb") as file:
        file.truncate(10**13)
    assert content.sparse_digest(tmp_path / "enormous") != content.sparse_digest(sparse)


def test_any_change_of_a_file_is_seen_once_the_clock_has_gone_on(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    file = tmp_path / "directory/file"
    file.write_bytes(b"content")
    before = trust.look_when_settled(tmp_path)
    assert before == trust.look(tmp_path)
    assert before is not None
    info = file.stat()
    file.write_bytes(b"CONTENT")
    os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert trust.look(tmp_path) != before
    assert trust.only_ctime_differs(before, trust.look(tmp_path))
    os.utime(file, ns=(1, 1))
    assert not trust.only_ctime_differs(before, trust.look(tmp_path))


@pytest.mark.parametrize("time_ns", [0, 1, -1, -1500000000, 10**18 + 5, -(10**18)])
def test_times_of_pax(time_ns: int) -> None:
    text = tar_format.pax_time(time_ns)
    assert round(float(text) * 100) == round(time_ns / 1e7)
    with tarfile.open(fileobj=io.BytesIO(tar_format.device_headers([device(time_ns)]) + bytes(1024))) as tar:
        assert tar.getmembers()[0].pax_headers["mtime"].encode() == text


def device(time_ns: int = 0, path: bytes = b"dev/null") -> Device:
    return Device(path, "c", 1, 3, 0o666, 0, 0, time_ns)


def test_a_tree_goes_through_the_tar_format(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    target.mkdir()
    (source / "a/b").mkdir(parents=True)
    (source / "a/file").write_bytes(b"content")
    (source / "a/b/second").hardlink_to(source / "a/file")
    os.symlink(b"\xff" * 200, os.fsencode(source / "link"))
    (source / "a/.wh.kept").touch()
    (source / "a/.wh.gone").touch()
    with (source / "sparse").open("wb") as file:
        file.truncate(1 << 40)
        file.seek(1 << 39)
        file.write(b"data")
    for path in (source / "a/file", source / "a/b"):
        os.utime(path, ns=(1, -1500000001))
    out = io.BytesIO()
    names = [b".", *(entry.path for entry in walk(source) if entry.path != b"a/.wh.gone")]
    tar_format.write(out, source, names=names, marks=[b"a/.wh.gone"], nodes={}, excluded=())
    out.seek(0)
    tar_format.read(out, target, {b"a/.wh.gone"})
    found = {entry.path: entry.info for entry in walk(target)}
    assert sorted(found) == sorted(name for name in names if name != b".")
    assert found[b"a/file"].st_ino == found[b"a/b/second"].st_ino
    assert found[b"a/file"].st_mtime_ns == found[b"a/b"].st_mtime_ns == -1500000001
    assert os.readlink(os.fsencode(target / "link")) == b"\xff" * 200
    assert found[b"sparse"].st_size == 1 << 40
    assert found[b"sparse"].st_blocks < 1000
    with (target / "sparse").open("rb") as file:
        file.seek(1 << 39)
        assert file.read(5) == b"data\0"


def test_what_is_beyond_tar() -> None:
    def contents(*entries: bytes) -> LayerContents:
        return LayerContents(entries, (), (), 0)

    assert not beyond_tar(contents(b"a/b", b"a.wh.b", b"x" * 200), [device()])
    assert beyond_tar(contents(b"/".join([b"x" * 200] * 20)), [])
    assert beyond_tar(contents(b"a/.wh.b"), [])
    assert beyond_tar(contents(b".wh.directory/b"), [])
    assert beyond_tar(contents(), [device(path=b"%d" % number) for number in range(2000)])


def test_short_paths_lead_through_no_symlink(tmp_path: Path) -> None:
    (tmp_path / "tree/directory").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (tmp_path / "tree/link").symlink_to("../outside")
    with Places(tmp_path / "tree") as place:
        assert os.path.isdir(place(b"directory"))
        assert os.path.isdir(place(b""))
        for path in (b"link/file", b"../outside/file", b"directory/../../outside/file"):
            with pytest.raises(OSError):
                place(path)


def test_directories_above_a_change_are_part_of_it(tmp_path: Path) -> None:
    """Otherwise they would come out of the archive with the owners, modes and times of new ones."""
    tree = tmp_path / "tree"
    (tree / "a/b").mkdir(parents=True)
    (tree / "a/b/file").touch()
    (tree / "a/b/other").touch()
    before = plain._snapshot(tree)
    (tree / "a/b/file").chmod(0o600)
    assert plain._difference(before, plain._snapshot(tree)).entries == (b"a", b"a/b", b"a/b/file")


def test_a_deep_tree_is_walked_and_removed(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("directory", dir_fd=fd)
        below = os.open("directory", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    assert [len(entry.path) for entry in walk(tmp_path)][-1] == 1200 * 10 - 1
    remove_tree(tmp_path / "directory")
    assert list(tmp_path.iterdir()) == []
