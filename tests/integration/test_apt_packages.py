"""Packages that dpkg-deb made are read, and those that are written it reads."""

import os
import subprocess
from pathlib import Path

import pytest
from stagelib.apt import deb


def stored(path: Path, directory: Path) -> Path:
    """The package with an uncompressed data archive; dpkg reads it too."""
    name = directory / "stored.deb"
    source = os.open(path, os.O_RDONLY)
    target = os.open(name, os.O_WRONLY | os.O_CREAT)
    deb.write_stored(source, target)
    os.close(target)
    os.close(source)
    subprocess.run(["dpkg-deb", "--contents", name], check=True, capture_output=True)
    return name


@pytest.mark.parametrize("compression", ["xz", "gzip", "none"])
def test_a_package_is_read_in_full(tmp_path: Path, compression: str) -> None:
    work = tmp_path / "work"
    long = "d" * 120 + "/" + "f" * 130
    for path, text in {"DEBIAN/control": "", long: "long", "big": "x" * 3_000_000, "empty": ""}.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(text)
    (work / "DEBIAN/control").write_text(
        "Package: a\nVersion: 1\nArchitecture: all\nMaintainer: x <x@y>\nDescription: x\n"
    )
    (work / "link").symlink_to("big")
    os.link(work / "big", work / "hard")
    path = tmp_path / "a.deb"
    subprocess.run(
        ["dpkg-deb", f"-Z{compression}", "--root-owner-group", "-b", work, path], check=True, capture_output=True
    )
    for name in (path, stored(path, tmp_path)):
        fd = os.open(name, os.O_RDONLY)
        stream = deb.data_stream(fd)
        found = {}
        for entry in deb.entries(stream):
            content = b""
            while len(content) < entry.size:
                content += stream.chunk(entry.size - len(content))
            found[entry.path] = (entry.type, content.decode() or entry.target)
        assert deb.control(fd)["control"].data.startswith(b"Package: a\n")
        os.close(fd)
        assert found[long] == ("0", "long")
        assert found["empty"] == ("0", "")
        assert found["link"] == ("2", "big")
        assert {found["big"][0], found["hard"][0]} == {"0", "1"}
        assert "x" * 3_000_000 in (found["big"][1], found["hard"][1])
