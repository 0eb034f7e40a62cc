"""Damaged .deb files: each is unpacked as the apt stage does it, or refused with the package's name and the reason.

COMPOSE_FUZZ=N tries N damaged files of each kind instead of a few hundred; tests/fuzz/harness.py has the rest.
"""

import bz2
import gzip
import io
import lzma
import os
import random
import subprocess
import tarfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from stagelib import removal
from stagelib.apt import database, deb, extract
from stagelib.apt.compression import DebError
from stagelib.apt.order import Relations
from stagelib.apt.package import Package
from stagelib.apt.resolve import Archive
from stagelib.errors import StageError

from tests.fuzz.harness import seeds, watched

FEW = 250
NAME = "zoo"
CONTROL = """Package: zoo
Version: 1.0-1
Architecture: all
Maintainer: Test <test@example.org>
Installed-Size: 60
Depends: dash (>= 0.5), libc6 | musl
Description: animals
 of all kinds
"""
INTERESTING = (b"\0", b"\xff", b"-1", b"9" * 12, b"\x80" + b"\xff" * 11, b"7" * 11, b"../", b"/", b"\n", b" ", b"")


def tar(files: dict[str, bytes], more: Callable[[tarfile.TarFile], None] = lambda _: None) -> bytes:
    """A tar archive as dpkg-deb makes them."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        more(archive)
    return made.getvalue()


def links(archive: tarfile.TarFile) -> None:
    """A directory, a symlink and a hard link."""
    for name, kind, target in (
        ("usr/share/zoo/more", tarfile.DIRTYPE, ""),
        ("usr/share/zoo/soft", tarfile.SYMTYPE, "one"),
        ("usr/share/zoo/hard", tarfile.LNKTYPE, "./usr/share/zoo/one"),
        (f"usr/share/zoo/{'long' * 40}", tarfile.REGTYPE, ""),
    ):
        member = tarfile.TarInfo(f"./{name}")
        member.type, member.linkname, member.mode = kind, target, 0o755
        archive.addfile(member)


CONTROL_TAR = tar(
    {
        "control": CONTROL.encode(),
        "md5sums": b"0" * 32 + b"  usr/share/zoo/one\n",
        "conffiles": b"/etc/zoo.conf\n",
        "triggers": b"interest-noawait /usr/share/zoo\nactivate ldconfig\n",
        "postinst": b"#!/bin/sh\nexit 0\n",
    }
)
DATA_TAR = tar({"etc/zoo.conf": b"a=1\n", "usr/share/zoo/one": b"lion\n" * 500}, links)
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".xz": lambda data: lzma.compress(data, preset=0),
    ".bz2": bz2.compress,
    ".lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE, preset=0),
    ".zst": lambda data: subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout,
}


def member(name: str, content: bytes) -> bytes:
    """A part of an ar archive."""
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
    return header + content + b"\n" * (len(content) % 2)


def package(control: bytes, data: bytes, suffix: str = ".gz") -> bytes:
    """A .deb."""
    made = COMPRESSORS[suffix]
    parts = [("debian-binary", b"2.0\n"), (f"control.tar{suffix}", made(control)), (f"data.tar{suffix}", made(data))]
    return b"!<arch>\n" + b"".join(member(name, content) for name, content in parts)


def damaged(data: bytes, choice: random.Random) -> bytes:
    """The bytes with one to four accidents."""
    made = bytearray(data)
    for _ in range(choice.choice((1, 1, 1, 2, 4))):
        at = choice.randrange(len(made) + 1)
        what = choice.randrange(7)
        if what == 0 and at < len(made):
            made[at] ^= 1 << choice.randrange(8)
        elif what == 1:
            made[at : at + 1] = choice.randbytes(1)
        elif what == 2:
            del made[at:]
        elif what == 3:
            del made[at : at + choice.randrange(600)]
        elif what == 4:
            made[at:at] = made[at : at + choice.randrange(600)]
        elif what == 5:
            value = choice.choice(INTERESTING)
            made[at : at + len(value)] = value
        else:  # a field of a tar header
            block = choice.randrange(max(1, len(made) // 512)) * 512
            field = block + choice.choice((0, 100, 108, 116, 124, 136, 148, 156, 157, 257, 329, 345))
            value = choice.choice(INTERESTING)
            made[field : field + len(value)] = value
    return bytes(made)


def with_checksums(data: bytes) -> bytes:
    """A tar archive with right checksums in its headers, so that other damage is noticed."""
    made = bytearray(data)
    for at in range(0, len(made) - 511, 512):
        header = made[at : at + 512]
        if header[257:262] == b"ustar":
            header[148:156] = b" " * 8
            made[at + 148 : at + 156] = b"%06o\0 " % sum(header)
    return bytes(made)


class Place:
    """A tree, and the directories of the archives and of what is left to dpkg."""

    def __init__(self, path: Path) -> None:
        self.tree, self.archives, self.work, self.outside = (path / name for name in ("tree", "debs", "work", "out"))
        for one in (self.archives, self.work, self.outside):
            one.mkdir()

    def install(self, data: bytes) -> str:
        """Do what the stage does until dpkg runs; returns why it cannot, "" when it can."""
        removal.remove_tree(str(self.tree))
        self.tree.mkdir()
        for path in self.work.iterdir():
            path.unlink()
        (self.archives / "digest").write_bytes(data)
        archive = Archive("http://x/zoo.deb", f"{NAME}_1.0-1_all.deb", len(data), "digest")
        directories = [os.open(one, os.O_RDONLY | os.O_DIRECTORY) for one in (self.archives, self.work)]
        extract.enter(str(self.tree), directories[1], directories[:1])
        try:
            found = extract.read(archive)
            self._unpack(archive, found)
            problem = None
        except StageError as error:
            problem = error
        finally:
            for one in directories:
                os.close(one)
        if problem is None:
            return ""
        assert f"package {NAME}: " in problem.message
        assert problem.hint
        return problem.message

    def _unpack(self, archive: Archive, found: Package) -> None:
        reason = found.reason_for_dpkg
        Relations([found]).unpacking([found], [])
        done = extract.unpack(archive, frozenset(found.conffiles), found.installed_size)
        if not reason and not done.reason:
            database.create(str(self.tree), {found: done})
            database.activations({found: done}, [found])
        else:
            extract.write_stored(archive, "zoo.deb", found.installed_size)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Where packages are unpacked; nothing may appear beside the tree."""
    made = Place(tmp_path)
    yield made
    assert list(made.outside.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["debs", "out", "tree", "work"]


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_a_whole_package_of_every_compression_is_unpacked(place: Place, suffix: str) -> None:
    assert place.install(package(CONTROL_TAR, DATA_TAR, suffix)) == ""
    assert (place.tree / "usr/share/zoo/hard").read_text() == "lion\n" * 500
    assert "Status: install ok unpacked" in (place.tree / "var/lib/dpkg/status").read_text()


@contextmanager
def named(seed: int) -> Iterator[None]:
    """What fails inside says which input it was."""
    with watched():
        try:
            yield
        except BaseException as error:
            error.add_note(f"COMPOSE_FUZZ=1 COMPOSE_FUZZ_FROM={seed}")
            raise


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_damaged_files(place: Place, suffix: str) -> None:
    whole = package(CONTROL_TAR, DATA_TAR, suffix)
    for seed in seeds(FEW // 5 if suffix == ".zst" else FEW):
        with named(seed):
            place.install(damaged(whole, random.Random(seed)))


@pytest.mark.parametrize("checksums", [False, True])
def test_damaged_archives_inside(place: Place, *, checksums: bool) -> None:
    for seed in seeds(FEW):
        choice = random.Random(seed)
        control, data = CONTROL_TAR, DATA_TAR
        if choice.random() < 0.4:
            control = damaged(control, choice)
        else:
            data = damaged(data, choice)
        fixed = (with_checksums(control), with_checksums(data)) if checksums else (control, data)
        with named(seed):
            place.install(package(*fixed, ""))


def control_of(text: str, **files: str) -> bytes:
    """A control archive with this control file."""
    return tar({"control": text.encode("utf-8", "surrogateescape")} | {k: v.encode() for k, v in files.items()})


HOSTILE_CONTROL = {
    "no package": CONTROL.replace("Package: zoo\n", ""),
    "another package": CONTROL.replace("Package: zoo", "Package: bear"),
    "a path for a name": CONTROL.replace("Package: zoo", "Package: ../../../../tmp/zoo"),
    "an absolute path for a name": CONTROL.replace("Package: zoo", "Package: /tmp/zoo"),
    "a path for an architecture": CONTROL.replace("Architecture: all", "Architecture: ../x\nMulti-Arch: same"),
    "a continuation first": " of all kinds\n" + CONTROL,
    "nothing": "",
}


@pytest.mark.parametrize("what", HOSTILE_CONTROL)
def test_control_files_that_are_refused(place: Place, what: str) -> None:
    said = place.install(package(control_of(HOSTILE_CONTROL[what], md5sums=""), DATA_TAR))
    assert said.startswith(f"package {NAME}: {NAME}_1.0-1_all.deb cannot be installed: ")


ODD_CONTROL = {
    "two stanzas": CONTROL + "\nPackage: bear\n",
    "a field twice": CONTROL + "Version: 2\n",
    "an impossible version": CONTROL.replace("1.0-1", "one"),
    "an impossible relation": CONTROL.replace("dash (>= 0.5)", "dash (>= )"),
    "an injected status": CONTROL + "Status: install ok installed\r\n",
    "no field": CONTROL + "what\n",
}


@pytest.mark.parametrize("what", ODD_CONTROL)
def test_what_only_dpkg_can_judge_is_left_to_it(place: Place, what: str) -> None:
    assert place.install(package(control_of(ODD_CONTROL[what], md5sums=""), DATA_TAR)) == ""
    known = what in ("an injected status",)
    assert (place.work / "zoo.deb").exists() or known


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/b", "x\ny", ".hidden"])
def test_names_of_control_files(place: Place, name: str) -> None:
    said = place.install(package(tar({"control": CONTROL.encode(), name: b"x"}), DATA_TAR))
    assert "its control archive has" in said


def entry(name: str, kind: bytes, target: str = "", size: int = 0, **fields: int) -> bytes:
    """A data archive with one odd entry, after an ordinary one."""

    def add(archive: tarfile.TarFile) -> None:
        made = tarfile.TarInfo(name)
        made.type, made.linkname = kind, target
        for key, value in fields.items():
            setattr(made, key, value)
        made.size = size
        archive.addfile(made, io.BytesIO(bytes(size)))

    return tar({"usr/share/zoo/one": b"x"}, add)


HOSTILE_DATA = {
    "a path out": entry("../../evil", tarfile.REGTYPE, size=3),
    "a hard link to outside": entry("usr/passwd", tarfile.LNKTYPE, "/etc/passwd"),
    "a hard link by ..": entry("usr/passwd", tarfile.LNKTYPE, "../../../etc/passwd"),
    "a hard link to itself": entry("usr/x", tarfile.LNKTYPE, "usr/x"),
    "a hard link to a directory": entry("usr/x", tarfile.LNKTYPE, "usr/share"),
    "a hard link to the root": entry("usr/x", tarfile.LNKTYPE, "/"),
    "a fifo": entry("usr/fifo", tarfile.FIFOTYPE),
    "an enormous owner": entry("usr/x", tarfile.REGTYPE, uid=1 << 40),
    "an enormous time": entry("usr/x", tarfile.REGTYPE, mtime=1 << 60),
    "a negative owner": entry("usr/x", tarfile.REGTYPE, uid=-5),
    "a name of a component too long": entry(f"usr/{'x' * 300}", tarfile.REGTYPE),
    "a path too long": entry("/".join(["deep"] * 2000), tarfile.REGTYPE),
    "a file below a file": entry("usr/share/zoo/one/two", tarfile.REGTYPE),
    "a line break": entry("usr/x\n/etc/shadow", tarfile.REGTYPE),
    "the root as a file": entry(".", tarfile.REGTYPE),
    "the root as a symlink": entry("./", tarfile.SYMTYPE, "/tmp"),
}


@pytest.mark.parametrize("what", HOSTILE_DATA)
def test_entries_that_are_left_to_dpkg(place: Place, what: str) -> None:
    control = control_of(CONTROL, md5sums="")
    assert place.install(package(control, HOSTILE_DATA[what])) == ""
    assert (place.work / "zoo.deb").exists()


def test_files_are_written_below_the_tree_whatever_its_links_are(place: Place) -> None:
    def add(archive: tarfile.TarFile) -> None:
        for name, kind, target in (
            ("etc", tarfile.SYMTYPE, str(place.outside)),
            ("etc/evil", tarfile.REGTYPE, ""),
            ("var/lib/dpkg", tarfile.SYMTYPE, "../../../out"),
        ):
            made = tarfile.TarInfo(name)
            made.type, made.linkname = kind, target
            archive.addfile(made)

    assert place.install(package(control_of(CONTROL, md5sums=""), tar({"usr/x": b"x"}, add))) == ""


def test_links_in_a_control_archive_are_not_read(place: Place) -> None:
    for kind, target in ((tarfile.SYMTYPE, "loop"), (tarfile.LNKTYPE, "./control")):

        def add(archive: tarfile.TarFile, kind: bytes = kind, target: str = target) -> None:
            made = tarfile.TarInfo("./loop")
            made.type, made.linkname = kind, target
            archive.addfile(made)

        said = place.install(package(tar({"control": CONTROL.encode()}, add), DATA_TAR))
        assert "which is not a regular file" in said


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2", ".zst"])
@pytest.mark.parametrize("part", ["control", "data"])
def test_bombs_end_early(place: Place, suffix: str, part: str) -> None:
    big = COMPRESSORS[suffix](entry("bomb", tarfile.REGTYPE, size=150 << 20))
    small = COMPRESSORS[suffix](CONTROL_TAR)
    both = {"control": small, "data": COMPRESSORS[suffix](DATA_TAR), part: big}
    parts = [("debian-binary", b"2.0\n"), *((f"{name}.tar{suffix}", data) for name, data in both.items())]
    data = b"!<arch>\n" + b"".join(member(name, content) for name, content in parts)
    tracemalloc.start()
    said = place.install(data)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "unpacks to more than" in said
    assert most < 140 << 20


def test_a_dictionary_that_needs_too_much_memory(place: Place) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 29}]
    big = lzma.compress(CONTROL_TAR, filters=filters)
    parts = [("debian-binary", b"2.0\n"), ("control.tar.xz", big), ("data.tar", DATA_TAR)]
    data = b"!<arch>\n" + b"".join(member(name, content) for name, content in parts)
    assert "it is damaged: " in place.install(data)


def test_parts_of_the_file(place: Place, tmp_path: Path) -> None:
    """Sizes and names in the ar archive, which is the outermost."""
    whole = package(CONTROL_TAR, DATA_TAR)
    for wrong in (b"-1        ", b"4294967296", b"1e3       ", b"          ", b"0x10      "):
        data = bytearray(whole)
        at = 8 + 60 + 4
        data[at + 48 : at + 58] = wrong
        assert place.install(bytes(data)) != ""
    file = tmp_path / "debs/empty"
    file.write_bytes(b"!<arch>\n")
    fd = os.open(file, os.O_RDONLY)
    with pytest.raises(DebError, match="version 2"):
        deb.members(fd)
    os.close(fd)
