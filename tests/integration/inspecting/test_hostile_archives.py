"""Hostile archives: reading them ends in an error of ours, in bounded time and memory."""

import io
import json
import os
import tarfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osbuild_compose.inspecting import container_image
from osbuild_compose.inspecting import tree as trees
from osbuild_compose.inspecting.extent import Extent
from osbuild_compose.inspecting.opening import open_image
from osbuild_compose.inspecting.tools import ToolError, Tools
from osbuild_compose.inspecting.tree import TooMuchError, Tree
from osbuild_compose.inspecting.trees.archive import ArchiveTree, cpio

SPARSE = "GNU.sparse."


@pytest.fixture(autouse=True)
def little_memory() -> Iterator[None]:
    """No test uses more memory than a few times the size of its archive."""
    tracemalloc.start()
    yield
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 64 * 1024**2


def tar(path: Path) -> ArchiveTree:
    return ArchiveTree(Extent.whole(path), Tools(path.parent))


def opened_cpio(path: Path) -> Tree:
    return cpio(Extent.whole(path), Tools(path.parent))


def header(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, **more: str) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    info.pax_headers = more
    return info.tobuf(tarfile.GNU_FORMAT)


def resized(block: bytes, size: bytes) -> bytes:
    """The header with a different size field."""
    made = bytearray(block)
    made[124:136] = size.ljust(12, b"\0")
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


def pax(**values: str) -> bytes:
    """An extended header for the next member."""
    info = tarfile.TarInfo("a")
    info.pax_headers = values
    return info.tobuf(tarfile.PAX_FORMAT)[:-512]


def block(content: bytes) -> bytes:
    return content.ljust(-(-len(content) // 512) * 512, b"\0")


FILE = header("a", 3) + block(b"abc")
MINUS = (2**96 - 1024).to_bytes(12, "big")
MINUS = b"\xff" + MINUS[1:]
HUGE = b"\x80" + (2**80).to_bytes(11, "big")

TARS = {
    "size below zero": resized(header("a"), MINUS) * 2,
    "size beyond all numbers": resized(header("a"), HUGE) + bytes(1024),
    "extended header of many gigabytes": resized(header("a", kind=tarfile.XHDTYPE), b"77777777777") + bytes(2048),
    "long name of many gigabytes": resized(header("a", kind=tarfile.GNUTYPE_LONGNAME), b"77777777777") + bytes(2048),
    "long name of a size below zero": resized(header("a", kind=tarfile.GNUTYPE_LONGNAME), MINUS) + bytes(2048),
    "many extended headers": pax(comment="x") * 3000 + FILE,
    "a number of too many digits": header("a", 6144, tarfile.XHDTYPE) + b"9" * 6144 + FILE,
    "a list of pieces that is none": pax(**{SPARSE + "map": "a,b", SPARSE + "size": "1"}) + FILE,
    "pieces that end with the archive": pax(**{SPARSE + "major": "1", SPARSE + "minor": "0"}) + header("a"),
    "a piece in front of the file": pax(**{SPARSE + "map": "-9,3", SPARSE + "size": "3"}) + FILE,
    "a file of more than Linux counts": pax(**{SPARSE + "map": "0,3", SPARSE + "size": "9" * 30}) + FILE,
}


@pytest.mark.parametrize("name", TARS)
def test_invalid_headers_of_tar_are_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.tar").write_bytes(TARS[name] + bytes(1024))
    with pytest.raises(ToolError, match="damaged"):
        tar(tmp_path / "a.tar")


def test_attributes_of_all_files_do_not_add_up(tmp_path: Path) -> None:
    """Every global header sets some more; bsdtar ignores the unknown ones."""
    rows = [b"".join(b"12 x%03d=%03d\n" % (n, n) for n in range(m, m + 40)) for m in (0, 40, 80)]
    headers = b"".join(header("a", 512, tarfile.XGLTYPE) + block(row) for row in rows)
    (tmp_path / "a.tar").write_bytes(headers + FILE + bytes(1024))
    tree = tar(tmp_path / "a.tar")
    assert (tree.names("/"), tree.read("/a")) == (["a"], b"abc")


def test_an_endless_piece_of_a_sparse_file_is_cut_off(tmp_path: Path) -> None:
    values = {SPARSE + "map": f"1,1,2,{2**60}", SPARSE + "size": str(10**6)}
    (tmp_path / "a.tar").write_bytes(pax(**values) + FILE + bytes(1024))
    tree = tar(tmp_path / "a.tar")
    assert tree.content("/a", 4) == b"\0abc"
    copy = tree.extract("/a")
    assert (copy.size, copy.read(0, 5)) == (10**6, b"\0abc\0")


def test_a_sparse_file_is_put_together(tmp_path: Path) -> None:
    """In the format of GNU tar."""
    values = {SPARSE + "map": "4096,3,8192,2", SPARSE + "size": "10000"}
    (tmp_path / "a.tar").write_bytes(pax(**values) + header("a", 5) + block(b"abcde") + bytes(1024))
    tree = tar(tmp_path / "a.tar")
    whole = bytes(4096) + b"abc" + bytes(4093) + b"de" + bytes(1806)
    assert tree.content("/a", 20000) == whole
    assert tree.content("/a", 4097) == whole[:4097]
    assert tree.extract("/a").read(0, 20000) == whole


def test_directories_that_only_a_long_name_has_do_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trees, "_MAX_PATHS", 1024**2)
    (tmp_path / "a.tar").write_bytes(pax(path="a/" * 400_000 + "a") + FILE + bytes(1024))
    with pytest.raises(TooMuchError, match="too long names"):
        tar(tmp_path / "a.tar")


def test_an_archive_has_no_more_files_than_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trees, "MAX_ENTRIES", 100)
    for name, one in {"same": lambda _: "a", "other": str, "deep": lambda n: f"{n}/{n}"}.items():
        (tmp_path / name).write_bytes(b"".join(header(one(number)) for number in range(102)) + bytes(1024))
        with pytest.raises(TooMuchError, match="100 files"):
            tar(tmp_path / name)


def member(
    name: str, size: int = 0, *, mode: int = 0o100644, inode: int = 1, links: int = 1, content: bytes = b""
) -> bytes:
    numbers = (inode, mode, 0, 0, links, 0, size or len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08x" % number for number in numbers) + name.encode() + b"\0"
    made = head + bytes(-len(head) % 4) + content
    return made + bytes(-len(made) % 4)


END = member("TRAILER!!!")


@pytest.mark.parametrize(
    "content",
    [
        # Python's int() takes signs, blanks and underscores.
        END.replace(b"070701" + b"%08x" % 1, b"070701" + b"-0000001"),
        END[:54] + b"-000007c" + END[62:],
        END[:54] + b" 1      " + END[62:],
        END[:54] + b"0000_000" + END[62:],
        END[:94] + b"10000000" + END[102:] + bytes(1000),
        member("a", 2**31),
    ],
)
def test_invalid_headers_of_cpio_are_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.cpio").write_bytes(content)
    with pytest.raises(ToolError, match=r"damaged|cut off"):
        opened_cpio(tmp_path / "a.cpio")


def test_many_names_of_one_file_take_no_square_of_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of them has the content, and the names before it are not listed again."""
    monkeypatch.setattr(trees, "MAX_ENTRIES", 300)
    (tmp_path / "a.cpio").write_bytes(
        b"".join(member(f"{n}", inode=7, links=2, content=b"x") for n in range(200)) + END
    )
    assert len(opened_cpio(tmp_path / "a.cpio").names("/")) == 200


def test_names_of_a_file_have_its_content_wherever_it_comes(tmp_path: Path) -> None:
    for order in ((0, 0, 1), (0, 1, 0), (1, 0, 0)):
        parts = [member("abc"[n], inode=7, links=3, content=b"text" * has) for n, has in enumerate(order)]
        (tmp_path / "a.cpio").write_bytes(b"".join(parts) + END)
        tree = opened_cpio(tmp_path / "a.cpio")
        assert [tree.text(f"/{name}") for name in "abc"] == ["text"] * 3, order


def test_zeroes_between_two_archives_take_no_time(tmp_path: Path) -> None:
    with (tmp_path / "a.cpio").open("wb") as file:
        file.write(member("a") + END)
        file.seek(1 << 40)
        file.write(member("b") + END)
    assert opened_cpio(tmp_path / "a.cpio").names("/") == ["a", "b"]


def archive(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def opened(path: Path) -> object:
    return open_image(path, Tools(path.parent))


def test_directories_are_not_taken_for_the_disks_of_an_archive(tmp_path: Path) -> None:
    for files in ({"disk.raw/a": b""}, {"a.ovf": b"", "a.vmdk/a": b""}):
        with pytest.raises(ToolError, match="is no file"):
            opened(archive(tmp_path / "a.tar", files))
    images = {"manifest.json": json.dumps([{"Config": "c", "Layers": ["layer"]}]).encode(), "c": b"{}", "layer/a": b""}
    with pytest.raises(ToolError, match="/layer is missing"):
        opened(archive(tmp_path / "a.tar", images))


def test_an_appliance_in_the_place_of_its_own_disk_is_no_disk(tmp_path: Path) -> None:
    inner = archive(tmp_path / "inner", {"a.ovf": b"", "a.vmdk": b"x"}).read_bytes()
    found = open_image(archive(tmp_path / "a.ova", {"a.ovf": b"", "a.vmdk": inner}), Tools(tmp_path))
    assert (found.format, found.tree) == ("ova", None)
    assert found.disk is not None
    assert found.disk.size == len(inner)


def test_marks_of_a_layer_remove_what_is_in_those_below_it(tmp_path: Path) -> None:
    lower = archive(tmp_path / "lower", {f"d/{number}/f": b"" for number in range(100)} | {"d/kept": b"", "e/f": b""})
    upper = archive(
        tmp_path / "upper", {f"d/.wh.{number}": b"" for number in range(100)} | {"e/.wh..wh..opq": b"", "e/g": b""}
    )
    layers = container_image.layered([tar(lower), tar(upper)])
    assert (layers.names("/d"), layers.names("/e")) == (["kept"], ["g"])


def test_layers_together_have_no_more_files_than_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container_image, "MAX_ENTRIES", 50)
    layer = archive(tmp_path / "layer", {f"{number}": b"" for number in range(30)}).read_bytes()
    image = {"manifest.json": json.dumps([{"Config": "c", "Layers": ["l", "l"]}]).encode(), "c": b"{}", "l": layer}
    with pytest.raises(TooMuchError, match="layers have more than 50 files"):
        opened(archive(tmp_path / "a.tar", image))


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_flipped_bytes_give_files_or_an_error_of_ours(tmp_path: Path, data: st.DataObject) -> None:
    sparse = pax(**{SPARSE + "map": "1,2", SPARSE + "size": "9"}) + FILE
    tar = FILE + header("b" * 150, kind=tarfile.SYMTYPE) + sparse + header("c", kind=tarfile.LNKTYPE) + bytes(1024)
    archives = (tar, member("a", content=b"x", links=2) + member("b", links=2) + END)
    content = bytearray(data.draw(st.sampled_from(archives)))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "a").write_bytes(content)
    try:
        tree = opened(tmp_path / "a")
        found = getattr(tree, "tree", None)
        if isinstance(found, Tree):
            for path in list(found.entries):
                found.read(path, 100)
    except (ToolError, TooMuchError, OSError):
        pass
    assert sorted(os.listdir(tmp_path)) == ["a"]
