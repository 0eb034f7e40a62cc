"""An image of a container as one layer holds what its layers show, and nothing that they hide."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from stagelib import container_layers
from stagelib.errors import StageError

from tests.integration.container_images import oci_archive


def member(name: str, content: bytes | None = b"", **about: object) -> tuple[tarfile.TarInfo, bytes | None]:
    info = tarfile.TarInfo(name)
    info.size = len(content or b"")
    for key, value in about.items():
        setattr(info, key, value)
    return info, content


def layer(path: Path, *members: tuple[tarfile.TarInfo, bytes | None], mode: str = "w") -> str:
    with tarfile.open(path, mode, format=tarfile.PAX_FORMAT) as tar:  # type: ignore[call-overload]
        for info, content in members:
            tar.addfile(info, None if content is None else io.BytesIO(content))
    return str(path)


def directory(name: str) -> tuple[tarfile.TarInfo, bytes | None]:
    return member(name, None, type=tarfile.DIRTYPE, mode=0o755)


def link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes | None]:
    return member(name, None, type=tarfile.LNKTYPE, linkname=target)


def merged(tmp_path: Path, *files: str) -> dict[str, tuple[str, bytes]]:
    """What is in the one layer: kind and content, or the target of a link, by name."""
    container_layers._merge(files, str(tmp_path / "merged"))
    found = {}
    with tarfile.open(tmp_path / "merged") as tar:
        for info in tar:
            assert info.name not in found
            kind = "dir" if info.isdir() else "link" if info.islnk() else "file"
            content = tar.extractfile(info).read() if kind == "file" else info.linkname.encode()  # type: ignore[union-attr]
            found[info.name] = (kind, content)
    return found


def test_what_is_removed_replaced_and_added(tmp_path: Path) -> None:
    lower = layer(
        tmp_path / "1",
        *[directory("./a"), member("a/one", b"1"), member("a/two", b"2")],
        *[directory("b"), member("b/old", b"old"), directory("b/below"), member("b/below/deep", b"deep")],
        *[directory("was-dir"), member("was-dir/inside", b"x"), member("was-file", b"x")],
    )
    upper = layer(
        tmp_path / "2",
        *[member("a/.wh.one"), member("a/three", b"3"), member("a/two", b"new")],
        *[directory("b"), member("b/.wh..wh..opq"), member("b/new", b"new")],
        *[member("was-dir", b"now a file"), directory("was-file"), member("was-file/inside", b"y")],
    )
    assert merged(tmp_path, lower, upper) == {
        "a": ("dir", b""),
        "a/two": ("file", b"new"),
        "a/three": ("file", b"3"),
        "b": ("dir", b""),
        "b/new": ("file", b"new"),
        "was-dir": ("file", b"now a file"),
        "was-file": ("dir", b""),
        "was-file/inside": ("file", b"y"),
    }


def test_what_is_removed_and_there_again(tmp_path: Path) -> None:
    layers = [
        layer(tmp_path / "1", directory("a"), member("a/file", b"1"), member("a/other", b"1")),
        layer(tmp_path / "2", member(".wh.a")),
        layer(tmp_path / "3", directory("a"), member("a/file", b"3")),
    ]
    assert merged(tmp_path, *layers) == {"a": ("dir", b""), "a/file": ("file", b"3")}


def test_links_are_to_what_their_layer_had(tmp_path: Path) -> None:
    lower = layer(tmp_path / "1", member("file", b"1"), link("alias", "file"), link("another", "./alias"))
    upper = layer(tmp_path / "2", member("file", b"2"))
    assert merged(tmp_path, lower) == {
        "file": ("file", b"1"),
        "alias": ("link", b"file"),
        "another": ("link", b"alias"),
    }
    assert merged(tmp_path, lower, upper) == {
        "file": ("file", b"2"),
        "alias": ("file", b"1"),
        "another": ("link", b"alias"),
    }
    with pytest.raises(StageError, match="a hard link to a missing file: gone"):
        merged(tmp_path, layer(tmp_path / "3", link("a", "gone")))


def test_owners_modes_attributes_and_long_names_stay(tmp_path: Path) -> None:
    name = "d/" + "long-" * 40
    info, content = member(name, b"x", mode=0o4755, uid=70000, gid=7, mtime=1234567890)
    info.pax_headers = {"SCHILY.xattr.security.capability": "\x01\udcff"}
    lower = layer(tmp_path / "1", (info, content), mode="w:gz")
    merged(tmp_path, lower, layer(tmp_path / "2", member("d/.wh.x")))
    with tarfile.open(tmp_path / "merged") as tar:
        (found,) = tar
    assert (found.name, found.mode, found.uid, found.gid, found.mtime) == (name, 0o4755, 70000, 7, 1234567890)
    assert found.pax_headers["SCHILY.xattr.security.capability"] == "\x01\udcff"


def test_an_image_keeps_its_settings_and_is_the_same_every_time(tmp_path: Path) -> None:
    archive = oci_archive(tmp_path / "image.tar", {"a": b"1", "b": b"2"}, {".wh.a": b""})
    image = tmp_path / "image"
    image.mkdir()
    with tarfile.open(archive) as tar:
        for info in tar:
            data = tar.extractfile(info)
            assert data
            (image / Path(info.name).name).write_bytes(data.read())
    index = json.loads((image / "index.json").read_bytes())
    (image / index["manifests"][0]["digest"][7:]).rename(image / "manifest.json")
    assert container_layers.removes_anything(container_layers.layers(str(image)))
    for name in ("one", "two"):
        container_layers.flattened(str(image), str(tmp_path / name))
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert one == two
    manifest = json.loads(one["manifest.json"])
    config = json.loads(one[manifest["config"]["digest"][7:]])
    assert config["config"] == {"Cmd": ["/hello"]}
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    assert not container_layers.removes_anything(container_layers.layers(str(tmp_path / "one")))
    for name in one.keys() - {"manifest.json", "version"}:
        assert hashlib.sha256(one[name]).hexdigest() == name
