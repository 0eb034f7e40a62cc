"""Images of containers in a tree: put there by the product, read back by skopeo."""

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.integration.composing import run
from tests.integration.container_images import oci_archive, tar_of

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to unpack the tree with its owners"),
    pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed"),
]


def build(place: Path, archive: Path, store: str) -> subprocess.CompletedProcess[str]:
    checksum = f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}"
    images = [{"checksum": checksum, "name": "localhost/hello:1"}]
    pipeline = {
        "stages": [
            {"name": "org.osbuild.noop", "options": {}},  # so that the tree is an overlay, as it is in every real build
            {"name": "org.osbuild-compose.containers", "options": {"images": images}},
        ],
        "assembler": {"name": "org.osbuild.tar", "options": {"filename": f"{store}.tar"}},
    }
    manifest = {"pipeline": pipeline, "sources": {"org.osbuild.files": {"urls": {checksum: f"file://{archive}"}}}}
    return run(place, manifest, store=store)


def test_an_image_is_there_and_the_same_every_time(tmp_path: Path) -> None:
    archive = oci_archive(
        tmp_path / "hello.tar", {"hello": b"one\n", "gone": b"x"}, {".wh.gone": b"", "more": b"two\n"}
    )
    for store in ("first", "second"):
        done = build(tmp_path, archive, store)
        assert done.returncode == 0, done.stderr
    images = [(tmp_path / "out" / f"{store}.tar").read_bytes() for store in ("first", "second")]
    assert images[0] == images[1]
    tree = tmp_path / "tree"
    tree.mkdir()
    subprocess.run(["tar", "-C", tree, "-xf", tmp_path / "out/first.tar"], check=True)
    storage = f"containers-storage:[overlay@{tree}/var/lib/containers/storage+{tmp_path}/run]localhost/hello:1"
    copied = tmp_path / "copied"
    argv = ["unshare", "--mount", "skopeo", "--insecure-policy", "copy", "--quiet", storage, f"dir:{copied}"]
    subprocess.run(argv, check=True)  # skopeo leaves its storage mounted
    manifest = json.loads((copied / "manifest.json").read_text())
    assert json.loads((copied / manifest["config"]["digest"][7:]).read_text())["config"]["Cmd"] == ["/hello"]
    (layer,) = manifest["layers"]  # as one removes a file
    with tarfile.open(copied / layer["digest"][7:]) as tar:
        assert sorted(tar.getnames()) == ["hello", "more"]


@pytest.mark.parametrize("removed", [{}, {".wh.gone": b""}])
def test_device_nodes_of_layers_are_in_the_tree(tmp_path: Path, removed: dict[str, bytes]) -> None:
    """Also where layers are merged, as one removes a file."""
    nodes = {"dev/big": (300, 70000), "d" * 90 + "/" + "f" * 120: (1, 3)}
    archive = oci_archive(
        tmp_path / "nodes.tar", {"hello": b"one\n", "gone": b"x"}, {"dev/x": b"", **removed}, nodes=nodes
    )
    done = build(tmp_path, archive, "store")
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "out/store.tar") as tar:
        found = {one.name.partition("/diff/")[2]: one for one in tar if one.ischr()}
    assert found.keys() == nodes.keys()
    for path, one in found.items():
        assert (one.devmajor, one.devminor) == nodes[path]
        assert (one.mode, one.uid, one.gid, one.mtime) == (0o620, 0, 5, 1234)


def test_an_archive_of_something_else(tmp_path: Path) -> None:
    other = tmp_path / "other.tar"
    other.write_bytes(tar_of({"a": b"b"}))
    done = build(tmp_path, other, "store")
    assert done.returncode == 1
    assert "the archive of localhost/hello:1 contains no container image" in done.stderr
