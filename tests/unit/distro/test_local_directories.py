"""Debian repositories in directories of this machine: which of their files a build may read."""

import bz2
import gzip
import lzma
import os
from functools import partial
from pathlib import Path

import pytest

from osbuild_compose.distro.family import deb_directory, local_directory, rpm_directory
from osbuild_compose.distro.repository import DebRepository, NamedRepository
from osbuild_compose.problem import InvalidValueError

DIGEST = "1" * 64
STANZA = f"Package: a\nFilename: pool/a.deb\nSHA256: {DIGEST}\n"


REPOMD = (
    '<repomd xmlns="http://linux.duke.edu/metadata/repo"><data type="primary">'
    '<location href="repodata/primary.xml"/></data></repomd>'
)
PRIMARY = (
    '<metadata xmlns="http://linux.duke.edu/metadata/common"><package><arch>noarch</arch>'
    '<checksum type="sha256">{}</checksum><location href="a.rpm"/></package></metadata>'
)


def put(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())


def repository(root: Path, *suites: str, components: tuple[str, ...] = ("main",), signed: bool = True) -> DebRepository:
    return DebRepository("file:x", suites, components, directory=str(root), check_signatures=signed)


def test_suites_and_components(tmp_path: Path) -> None:
    suite = "dists/stable"
    put(tmp_path, **{f"{suite}/InRelease": "", f"{suite}/main/binary-amd64/Packages.gz": STANZA, "pool/a.deb": "a"})
    put(tmp_path, **{f"{suite}/main/binary-arm64/Packages": STANZA, f"{suite}/main/binary-all/Packages": ""})
    put(tmp_path, **{f"{suite}/extra/binary-amd64/Packages": STANZA, "pool/other.deb": "b", "private": "c"})
    found = {file.path: file for file in deb_directory.files(repository(tmp_path, "stable"), "amd64")}
    assert sorted(found) == [
        *(f"{suite}/InRelease", f"{suite}/main/binary-all/Packages", f"{suite}/main/binary-amd64/Packages.gz"),
        "pool/a.deb",
    ]
    assert found["pool/a.deb"].sha256 == DIGEST
    assert found["pool/a.deb"].url == f"file://{tmp_path}/pool/a.deb"


@pytest.mark.parametrize("suite", ["./", "/"])
def test_flat(tmp_path: Path, suite: str) -> None:
    put(tmp_path, Packages=STANZA.replace("pool/", "./pool/"), **{"pool/a.deb": "a", "pool/b.deb": "b"})
    found = deb_directory.files(repository(tmp_path, suite, components=(), signed=False), "amd64")
    assert [file.path for file in found] == ["Packages", "pool/a.deb"]


@pytest.mark.parametrize(
    ("files", "suite", "message", "hint"),
    [
        ({"x": ""}, "./", "there is no Packages in", "dpkg-scanpackages"),
        ({"Packages": ""}, "stable", "there is no main/binary-amd64/Packages", "write suites: [./]"),
        ({"dists/stable/x": ""}, "./", "there is no Packages in", "it has suites: stable"),
        ({"Packages": STANZA}, "./", "has no Release file", "check_signatures: false"),
        (
            {"Release": "", "Packages": STANZA.replace("SHA256", "SHA1"), "pool/a.deb": ""},
            "./",
            "has no SHA256",
            "anew",
        ),
        ({"Release": "", "Packages.gz": STANZA.replace("pool/", "../"), "../a.deb": ""}, "./", "outside of it", ""),
    ],
)
def test_no_repository(tmp_path: Path, files: dict[str, str], suite: str, message: str, hint: str) -> None:
    put(tmp_path / "root", **files)
    wanted = repository(tmp_path / "root", suite, components=() if suite == "./" else ("main",))
    with pytest.raises(InvalidValueError) as caught:
        deb_directory.files(wanted, "amd64")
    assert message in caught.value.problem.brief
    assert hint in caught.value.problem.hint


def test_links_out_of_the_directory(tmp_path: Path) -> None:
    put(tmp_path, secret="", **{"pool/a.deb": "a"})
    put(tmp_path / "root", Packages=STANZA, **{"kept/Release": ""})
    (tmp_path / "root/pool").symlink_to(tmp_path / "pool")
    (tmp_path / "root/Release").symlink_to("kept/Release")
    wanted = repository(tmp_path / "root", "./", components=())
    assert [file.path for file in deb_directory.files(wanted, "amd64")] == ["Release", "Packages", "pool/a.deb"]
    (tmp_path / "root/InRelease").symlink_to("../secret")
    with pytest.raises(InvalidValueError, match=r"InRelease is a link to a file outside of .*/root"):
        deb_directory.files(wanted, "amd64")


def test_a_damaged_index(tmp_path: Path) -> None:
    put(tmp_path, Release="")
    (tmp_path / "Packages.gz").write_bytes(b"no gzip")
    with pytest.raises(InvalidValueError, match=r"cannot read .*Packages\.gz"):
        deb_directory.files(repository(tmp_path, "./", components=()), "amd64")


COMPRESS = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".lzma": partial(lzma.compress, format=lzma.FORMAT_ALONE),
    ".bz2": bz2.compress,
}


@pytest.mark.parametrize("suffix", COMPRESS)
def test_an_index_is_read_however_it_is_compressed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    """And no further than an index may be long: a few bytes can stand for all of the memory."""
    assert COMPRESS.keys() | {".zst"} == set(local_directory.SUFFIXES)
    (tmp_path / f"Packages{suffix}").write_bytes(COMPRESS[suffix](STANZA.encode()))
    directory = local_directory.Directory(str(tmp_path))
    assert directory.text(f"Packages{suffix}") == STANZA
    monkeypatch.setattr(local_directory, "MOST_BYTES", len(STANZA) - 1)
    with pytest.raises(InvalidValueError, match="it is too large"):
        directory.text(f"Packages{suffix}")


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".lzma", ".bz2"])
def test_a_damaged_index_is_an_error(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"Packages{suffix}").write_bytes(b"no archive")
    with pytest.raises(InvalidValueError, match="cannot read"):
        local_directory.Directory(str(tmp_path)).text(f"Packages{suffix}")


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2", ".lzma"])
def test_an_index_that_is_damaged_within(tmp_path: Path, suffix: str) -> None:
    begin = {".gz": gzip.compress(STANZA.encode())[:20], ".xz": b"\xfd7zXZ\0", ".bz2": b"BZh9"}
    put(tmp_path, Release="")
    (tmp_path / f"Packages{suffix}").write_bytes(begin.get(suffix, b"") + b"\xff" * 50)
    with pytest.raises(InvalidValueError, match=r"cannot read .*Packages"):
        deb_directory.files(repository(tmp_path, "./", components=()), "amd64")


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "gone.deb"])
def test_an_index_none_of_whose_packages_is_there(tmp_path: Path, name: str) -> None:
    put(tmp_path, Release="", Packages=STANZA.replace("pool/a.deb", name))
    with pytest.raises(InvalidValueError, match="there is no package that") as caught:
        deb_directory.files(repository(tmp_path, "./", components=()), "amd64")
    assert "repository's own directory" in caught.value.problem.hint


def test_a_directory_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    root = Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\xff"))
    put(root, Packages=STANZA, **{"pool/a.deb": "a"})
    found = deb_directory.files(repository(root, "./", components=(), signed=False), "amd64")
    assert found[1].url == f"file://{tmp_path}/a%FF/pool/a.deb"


@pytest.mark.parametrize("digest", ["zz", "0" * 63])
def test_rpm_metadata_with_a_damaged_digest(tmp_path: Path, digest: str) -> None:
    put(tmp_path, **{"a.rpm": "a", "repodata/repomd.xml": REPOMD, "repodata/primary.xml": PRIMARY.format(digest)})
    with pytest.raises(InvalidValueError, match=r"has no SHA256 of a\.rpm"):
        rpm_directory.files(NamedRepository("a", directory=str(tmp_path)), "x86_64")


def test_rpm_metadata_with_a_digest_in_blanks(tmp_path: Path) -> None:
    primary = PRIMARY.format(f" {DIGEST}\n")
    put(tmp_path, **{"a.rpm": "a", "repodata/repomd.xml": REPOMD, "repodata/primary.xml": primary})
    found = rpm_directory.files(NamedRepository("a", directory=str(tmp_path)), "x86_64")
    assert found[-1].sha256 == DIGEST
