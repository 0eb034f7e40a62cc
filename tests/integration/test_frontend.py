"""The command line with the real runner."""

import hashlib
import json
import shutil
import tarfile
from pathlib import Path

from osbuild_compose.blueprint import load
from osbuild_compose.blueprint.formats import Format, Output
from osbuild_compose.compile import pipeline
from osbuild_compose.compile.request import BuildRequest
from osbuild_compose.distro import catalog
from osbuild_compose.document import reader
from tests.integration.composing import run

PIPELINE = {
    "stages": [
        {"name": "org.osbuild-compose.files", "options": {"files": [{"path": "/hello", "content": "hello\n"}]}},
    ],
    "assembler": {"name": "org.osbuild.tar", "options": {"filename": "hello.tar"}},
}


def test_an_image_lands_in_the_directory_and_the_second_time_nothing_runs(tmp_path: Path) -> None:
    done = run(tmp_path, PIPELINE)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path}/out/hello.tar\n"
    assert (tmp_path / "out/hello.tar").stat().st_size > 0
    first, second, third, *_ = done.stderr.splitlines()
    assert first == "2 run, 0 from the store"
    assert (second, third) == ("[1/2] create files (/hello)", "[2/2] make hello.tar")
    again = json.loads(run(tmp_path, PIPELINE, "--json").stdout)
    assert again["success"]
    (image,) = again["images"]
    assert image["files"] == [f"{tmp_path}/out/hello.tar"]
    made = (tmp_path / "out/hello.tar").read_bytes()
    digest = hashlib.sha256(made).hexdigest()
    assert image["outputs"] == [{"path": f"{tmp_path}/out/hello.tar", "size": len(made), "sha256": digest}]
    assert [(step["title"], step["cached"]) for step in image["steps"]] == [("make hello.tar", True)]
    assert run(tmp_path, PIPELINE).stderr.splitlines()[:3] == [
        "everything is in the store",
        f"image      {'size':>6}  {'sha256':64}  time  from the store",
        f"hello.tar  10 KiB  {digest}     -  all",
    ]


def test_a_file_comes_from_its_address_if_it_is_the_right_one(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(range(256)) * 1000)
    digest = hashlib.sha256((tmp_path / "big").read_bytes()).hexdigest()
    text = f"""
name: fetched
distro: debian-12
files: [{{path: /srv/big, url: "file://{tmp_path}/big", sha256: {digest}, mode: "0750", owner: 0, group: 0}}]
"""
    blueprint = load.check(reader.parse(text.encode(), "b.yaml"), ["debian-12"])
    found = catalog.find()
    mirrors = found.release("debian-12").repositories
    document = pipeline.compile_request(BuildRequest(blueprint, (Output(Format.TAR),), found, mirrors))
    stages = [stage for stage in document["stages"] if "checksum" in json.dumps(stage)]
    options = {"filename": "hello.tar"}
    manifest = json.loads(pipeline.to_json({**document, "stages": stages}))
    manifest["pipeline"]["assembler"] = {"name": "org.osbuild.tar", "options": options}
    done = run(tmp_path, manifest)
    assert done.returncode == 0, done.stderr
    with tarfile.open(tmp_path / "out/hello.tar") as tar:
        member = next(item for item in tar.getmembers() if item.name.endswith("srv/big"))
        content = tar.extractfile(member)
        assert content is not None
        assert content.read() == (tmp_path / "big").read_bytes()
        assert member.mode == 0o750
    (tmp_path / "big").write_bytes(b"another")
    shutil.rmtree(tmp_path / "store")
    done = run(tmp_path, manifest)
    assert done.returncode == 1
    assert "the content does not match the digest" in done.stderr


def test_a_stage_that_fails(tmp_path: Path) -> None:
    done = run(tmp_path, {"stages": [{"name": "org.osbuild.error", "options": {"returncode": 7}}]})
    assert done.returncode == 1
    assert done.stdout == ""
    assert "fail deliberately: failed after" in done.stderr
    assert "(exit status 7)" in done.stderr
    assert "Traceback" not in done.stderr


def test_options_that_a_stage_does_not_know(tmp_path: Path) -> None:
    done = run(tmp_path, {"stages": [{"name": "org.osbuild.hostname", "options": {"hostnam": "a"}}]})
    assert done.returncode == 2
    assert "hostnam" in done.stderr
