"""Packages that dpkg-deb made are read, and those that are written it reads."""

import io
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
from stagelib.apt import deb
from stagelib.devices import Device


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


def test_device_nodes_are_read_and_are_empty_files_for_dpkg(tmp_path: Path) -> None:
    data, control = io.BytesIO(), io.BytesIO()
    long = "d" * 90 + "/" + "f" * 120
    nodes = {long: Device("b", 300, 70000), "dev/null": Device("c", 1, 3)}
    with tarfile.open(fileobj=data, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, device in nodes.items():
            info = tarfile.TarInfo(f"./{name}")
            info.type = tarfile.CHRTYPE if device.kind == "c" else tarfile.BLKTYPE
            info.devmajor, info.devminor, info.mode, info.gid, info.mtime = device.major, device.minor, 0o620, 5, 1234
            tar.addfile(info)
        file = tarfile.TarInfo("./file")
        file.size = 3
        tar.addfile(file, io.BytesIO(b"xyz"))
    fields = b"Package: a\nVersion: 1\nArchitecture: all\nMaintainer: x <x@y>\nDescription: x\n"
    with tarfile.open(fileobj=control, mode="w") as tar:
        file = tarfile.TarInfo("./control")
        file.size = len(fields)
        tar.addfile(file, io.BytesIO(fields))
    path = tmp_path / "a.deb"
    members = {"debian-binary": b"2.0\n", "control.tar": control.getvalue(), "data.tar": data.getvalue()}
    headers = {name: f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(one):<10}`\n" for name, one in members.items()}
    path.write_bytes(b"!<arch>\n" + b"".join(headers[name].encode() + one for name, one in members.items()))
    with path.open("rb") as source, (tmp_path / "stored.deb").open("wb") as target:
        found = {one.path: one for one in deb.entries(deb.data_stream(source.fileno())) if one.device}
        assert {name: one.device for name, one in found.items()} == nodes
        assert deb.write_stored(source.fileno(), target.fileno()) == nodes
    listing = subprocess.run(
        ["dpkg-deb", "--contents", tmp_path / "stored.deb"], check=True, capture_output=True, text=True
    ).stdout
    for name in nodes:
        assert re.search(rf"^-rw--w---- 0/5 +0 1970-01-01 00:20 \./{name}$", listing, re.MULTILINE), listing
    assert re.search(r" 3 1970-01-01 00:00 \./file$", listing, re.MULTILINE)


@pytest.mark.parametrize("compression", ["xz", "gzip", "zstd", "none"])
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
