"""Images of containers from a real registry: fetched by their digest, kept, and checked whenever they are used."""

import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.integration.composing import run
from tests.integration.container_images import oci_archive, push, push_list, registry

pytestmark = [
    pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed"),
    pytest.mark.skipif(shutil.which("docker-registry") is None, reason="docker-registry is not installed"),
]


def manifest(key: str, name: str, digest: str, **more: Any) -> dict[str, Any]:
    pipeline = {
        "stages": [
            {"name": "org.osbuild.noop", "options": {}},
            {
                "name": "org.osbuild-compose.containers",
                "options": {"images": [{"checksum": key, "name": "localhost/hello:1"}]},
            },
        ],
        "assembler": {"name": "org.osbuild.tar", "options": {"filename": "made.tar"}},
    }
    sources = {"org.osbuild.skopeo": {"items": {key: {"image": {"name": name, "digest": digest, **more}}}}}
    return {"pipeline": pipeline, "sources": sources}


def fine(place: Path, document: dict[str, Any], store: str = "store") -> bytes:
    done = run(place, document, store=store)
    assert done.returncode == 0, done.stderr
    return (place / "out/made.tar").read_bytes()


def files_of(archive: Path) -> set[str]:
    with tarfile.open(archive) as tar:
        return {name.partition("/diff/")[2] for name in tar.getnames() if "/diff/" in name}


def test_an_image_by_its_digest_is_fetched_once_and_checked_on_every_use(tmp_path: Path) -> None:
    archive = oci_archive(tmp_path / "hello.tar", {"hello": b"one\n"}, {"more": b"two\n"})
    with registry(tmp_path / "registry") as host:
        digest = push(archive, f"{host}/team/hello:1")
        document = manifest(digest, f"{host}/team/hello", digest, **{"tls-verify": False})
        first = fine(tmp_path, document)
        assert files_of(tmp_path / "out/made.tar") == {"hello", "more"}
        assert fine(tmp_path, document, "another") == first
        # A part that is damaged is noticed and fetched again: here the one that is the first layer.
        again = {**document, "pipeline": {**document["pipeline"], "stages": [changed(document)]}}
        blobs = tmp_path / "store/downloads/sha256"
        parts = json.loads((blobs / digest[7:]).read_bytes())
        layer = blobs / parts["layers"][0]["digest"][7:]
        whole = layer.read_bytes()
        layer.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        done = run(tmp_path, again)
        assert done.returncode == 0, done.stderr
        assert "is damaged; it is fetched again" in done.stderr
        assert layer.read_bytes() == whole
    # Nobody answers any more, and nobody needs to.
    again = {**document, "pipeline": {**document["pipeline"], "stages": [changed(document, "localhost/third:1")]}}
    fine(tmp_path, again)
    assert not list((tmp_path / "store/downloads/partial").iterdir())


def changed(document: dict[str, Any], name: str = "localhost/other:1") -> dict[str, Any]:
    """The same stage with another name for the image, so that it is run again."""
    stage = document["pipeline"]["stages"][-1]
    images = [{**image, "name": name} for image in stage["options"]["images"]]
    return {**stage, "options": {"images": images}}


def test_of_a_list_the_image_for_this_machine_is_taken(tmp_path: Path) -> None:
    with registry(tmp_path / "registry") as host:
        name = f"{host}/team/hello"
        digests = {
            architecture: push(oci_archive(tmp_path / f"{architecture}.tar", {architecture: b"x"}), f"{name}:{number}")
            for number, architecture in enumerate(("s390x", "amd64", "arm64"))
        }
        digest = push_list(f"{name}:all", digests)
        fine(tmp_path, manifest(digest, name, digest, **{"tls-verify": False}))
        wanted = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
        assert files_of(tmp_path / "out/made.tar") == {wanted}
        other = push_list(f"{name}:others", {"s390x": digests["s390x"]})
        done = run(tmp_path, manifest(other, name, other, **{"tls-verify": False}))
        assert done.returncode == 1
        assert f"it has no image for linux/{wanted}" in done.stderr


def test_osbuilds_name_for_an_image_is_its_id(tmp_path: Path) -> None:
    with registry(tmp_path / "registry") as host:
        name = f"{host}/team/hello"
        digest = push(oci_archive(tmp_path / "hello.tar", {"hello": b"x"}), f"{name}:1")
        argv = ["skopeo", "inspect", "--tls-verify=false", "--raw", f"docker://{name}@{digest}"]
        raw = subprocess.run(argv, check=True, capture_output=True).stdout
        key = json.loads(raw)["config"]["digest"]
        fine(tmp_path, manifest(key, name, digest, **{"tls-verify": False}))
        wrong = "sha256:" + "1" * 64
        done = run(tmp_path, manifest(wrong, name, digest, **{"tls-verify": False}))
        assert done.returncode == 2
        assert f"does not have the id {wrong}" in done.stderr


def test_without_being_asked_no_registry_is_trusted(tmp_path: Path) -> None:
    with registry(tmp_path / "registry", tls=True) as host:
        name = f"{host}/team/hello"
        digest = push(oci_archive(tmp_path / "hello.tar", {"hello": b"x"}), f"{name}:1")
        done = run(tmp_path, manifest(digest, name, digest))
        assert done.returncode == 1
        assert "certificate" in done.stderr
        fine(tmp_path, manifest(digest, name, digest, **{"tls-verify": False}))


def test_what_is_not_there(tmp_path: Path) -> None:
    with registry(tmp_path / "registry") as host:
        digest = "sha256:" + "0" * 64
        done = run(tmp_path, manifest(digest, f"{host}/team/gone", digest, **{"tls-verify": False}))
    assert done.returncode == 1
    assert f"docker://{host}/team/gone@{digest}: " in done.stderr
    assert "manifest unknown" in done.stderr
    assert "level=fatal" not in done.stderr


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ({"name": "a/b"}, 'expected {"image": {"name": "...", "digest": "sha256:..."}}'),
        ({"name": "-a/b", "digest": "sha256:" + "0" * 64}, "image.name: expected REGISTRY/NAME"),
        ({"name": "a/b", "digest": "sha256:0"}, "image.digest: expected sha256:..."),
        ({"name": "a/b", "digest": "sha256:" + "0" * 64, "tls-verify": "no"}, "tls-verify: expected true or false"),
        ({"name": "a/b", "digest": "sha256:" + "0" * 64, "tls": True}, "image.tls: unknown key"),
    ],
)
def test_sources_that_say_no_image(tmp_path: Path, image: dict[str, Any], message: str) -> None:
    key = "sha256:" + "0" * 64
    document = manifest(key, "a/b", key)
    document["sources"]["org.osbuild.skopeo"]["items"][key]["image"] = image
    done = run(tmp_path, document)
    assert done.returncode == 2
    assert message in done.stderr
