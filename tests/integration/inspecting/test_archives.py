"""tar and cpio archives as bsdtar lists and extracts them."""

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from osbuild_compose.inspecting.extent import Extent
from osbuild_compose.inspecting.opening import open_image
from osbuild_compose.inspecting.tools import Tools
from osbuild_compose.inspecting.tree import FileType
from osbuild_compose.inspecting.trees.archive import ArchiveTree, cpio

NAMES = ("plain", "line\nbreak", "back\\slash", "*", "[a]", "^$", "  blanks ", "é", "a link to b", "a -> b", "-C")
NOT_UTF_8 = "\udcff"


def archive(directory: Path, form: int = tarfile.GNU_FORMAT) -> ArchiveTree:
    with tarfile.open(directory / "a.tar", "w", format=form, errors="surrogateescape") as tar:
        for name in (*NAMES, NOT_UTF_8):
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(os.fsencode(name))
            info.uname = "a user"
            tar.addfile(info, io.BytesIO(os.fsencode(name)))
        for name, kind, target in (("hard", tarfile.LNKTYPE, "./a link to b"), ("soft", tarfile.SYMTYPE, "x\n -> é")):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            tar.addfile(info)
        tar.addfile(tarfile.TarInfo("./plain"))
        again = tarfile.TarInfo("plain")
        again.size = 5
        tar.addfile(again, io.BytesIO(b"again"))
    return ArchiveTree(Extent.whole(directory / "a.tar"), Tools(directory))


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_odd_names_have_their_content(tmp_path: Path, form: int) -> None:
    tree = archive(tmp_path, form)
    assert tree.names("/") == sorted([*NAMES, NOT_UTF_8, "hard", "soft"])
    for name in NAMES[1:]:
        assert tree.read(f"/{name}") == os.fsencode(name)
        assert tree.extract(f"/{name}").read(0, 100) == os.fsencode(name)
    assert tree.read(f"/{NOT_UTF_8}") == b"\xff"
    assert tree.link("/soft") == "x\n -> é"


def test_the_last_of_several_files_with_one_name_counts(tmp_path: Path) -> None:
    tree = archive(tmp_path)
    assert tree.read("/plain") == b"again"
    assert tree.extract("/plain").read(0, 100) == b"again"


def test_a_hard_link_is_the_file_that_it_links_to(tmp_path: Path) -> None:
    tree = archive(tmp_path)
    assert tree.entries["/hard"] == tree.entries["/a link to b"]
    assert tree.read("/hard") == b"a link to b"


def test_small_files_of_a_directory_are_read_in_one_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = archive(tmp_path)
    tree.read("/é")
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("another run"))
    assert tree.read("/*") == b"*"


def test_an_extracted_file_keeps_its_holes(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.seek(64 << 20)
        file.write(b"end")
    subprocess.run(["tar", "-C", tmp_path, "-cSf", tmp_path / "a.tar", "sparse"], check=True)
    found = ArchiveTree(Extent.whole(tmp_path / "a.tar"), Tools(tmp_path)).extract("/sparse")
    assert (found.size, found.read(64 << 20, 10)) == ((64 << 20) + 3, b"end")
    assert found.path.stat().st_blocks * 512 < 1 << 20


def test_cpio_archives_in_a_row_are_one_over_the_other(tmp_path: Path) -> None:
    """As in an initramfs that begins with microcode; compressed data after them is ignored."""
    for number, name in enumerate(("a", "a", "b")):
        (tmp_path / name).write_text(f"{number}")
        made = subprocess.run(
            ["cpio", "-o", "-H", "newc", "--quiet"],
            cwd=tmp_path,
            input=name.encode(),
            check=True,
            stdout=subprocess.PIPE,
        )
        with (tmp_path / "a.cpio").open("ab") as file:
            file.write(made.stdout + bytes(4096))
    with (tmp_path / "a.cpio").open("ab") as file:
        file.write(b"\x28\xb5\x2f\xfd compressed")
    tree = cpio(Extent.whole(tmp_path / "a.cpio"), Tools(tmp_path))
    assert (tree.text("/a"), tree.text("/b")) == ("1", "2")
    assert tree.entries["/a"].kind is FileType.FILE


def test_without_bsdtar_its_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive(tmp_path)
    monkeypatch.setattr(shutil, "which", lambda name, **_: None if name == "bsdtar" else f"/usr/bin/{name}")
    opened = open_image(tmp_path / "a.tar", Tools(tmp_path))
    assert (opened.format, opened.tree) == ("tar", None)
    assert str(opened.missing) == "bsdtar is not installed"
    assert opened.missing is not None
    assert opened.missing.hint == "install libarchive-tools on Debian, bsdtar on Fedora"
