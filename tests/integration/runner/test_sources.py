"""Source files: fetched in parallel from a real server, checked, resumed, and shown to the stages that name them."""

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.runner.conftest import Bench
from tests.integration.runner.source_files import Server, manifest, run, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def test_a_stage_sees_the_files_that_its_options_name_and_no_others(bench: Bench, server: Server) -> None:
    one, two = server.add("one", b"1"), server.add("two", b"2")
    inline = "sha256:" + hashlib.sha256(b"3").hexdigest()
    items = {inline: {"encoding": "base64", "data": base64.b64encode(b"3").decode()}}
    document = manifest(bench, dict([one, two]), [one[0], inline], **{"org.osbuild.inline": {"items": items}})
    code, result = run(bench, document)
    assert code == 0, result
    assert json.loads(result["stages"][0]["output"]) == {
        f"org.osbuild.files/{one[0]}": "1",
        f"org.osbuild.inline/{inline}": "3",
    }
    assert server.asked == [("/one", "")]


def test_only_missing_and_damaged_files_are_fetched_again(bench: Bench, server: Server) -> None:
    checksum, url = server.add("file", b"x" * 10_000)
    assert run(bench, manifest(bench, {checksum: url}, [checksum, "1"]))[0] == 0
    assert run(bench, manifest(bench, {checksum: url}, [checksum, "2"]))[0] == 0
    assert len(server.asked) == 1
    stored = bench.store / "downloads" / "sha256" / checksum.removeprefix("sha256:")
    stored.write_bytes(b"y" + stored.read_bytes()[1:])
    code, result = run(bench, manifest(bench, {checksum: url}, [checksum, "3"]))
    assert code == 0
    assert "y" not in result["stages"][0]["output"].split(":")[-1]
    assert len(server.asked) == 2


def test_a_broken_transfer_is_resumed(bench: Bench, server: Server) -> None:
    checksum, url = server.add("file", bytes(range(256)) * 4000)
    server.cut = 300_000
    bench.program("cat", "print('seen')")
    document = manifest(bench, {checksum: url}, [checksum])
    bench.program("cat", "print('seen')")
    code, result = run(bench, document)
    assert code == 0, result
    assert server.asked == [("/file", ""), ("/file", "bytes=300000-")]


def test_a_wrong_file_and_a_missing_one_are_reported_by_url(bench: Bench, server: Server) -> None:
    good = server.add("good", b"good")
    server.files["/bad"] = b"not what was promised"
    wrong, missing = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    urls = dict([good, (wrong, f"{server.url}/bad"), (missing, {"url": f"{server.url}/none"})])
    code, result = run(bench, manifest(bench, urls, list(urls)))
    assert code == 1
    assert result["error"]["message"] == "2 of 3 source files could not be fetched"
    details = "\n".join(result["error"]["details"])
    assert "/bad: the content does not match the digest" in details
    assert "/none: " in details
    assert "404" in details
    assert list((bench.store / "downloads" / "partial").iterdir()) == []
    assert (bench.store / "downloads" / "sha256" / good[0].removeprefix("sha256:")).read_bytes() == b"good"


def test_an_unreachable_server_is_reported(bench: Bench) -> None:
    checksum = "sha256:" + "1" * 64
    code, result = run(bench, manifest(bench, {checksum: "http://127.0.0.1:9/x"}, [checksum]))
    assert code == 1
    assert "http://127.0.0.1:9/x" in result["error"]["details"][0]


def test_sources_of_a_file_stand_in_for_the_manifests(bench: Bench, server: Server) -> None:
    checksum, url = server.add("file", b"1")
    document = manifest(bench, {checksum: "http://127.0.0.1:9/x"}, [checksum])
    other = bench.place / "sources.json"
    other.write_text(json.dumps({"org.osbuild.curl": {"items": {checksum: {"url": url}}}}))
    other.chmod(0o644)
    code, result = run(bench, document, "--sources", other)
    assert code == 0, result
    assert f"org.osbuild.curl/{checksum}" in result["stages"][0]["output"]


def test_secrets_reach_the_server_and_no_other_place(bench: Bench, server: Server) -> None:
    checksum, url = server.add("file", b"1")
    secrets = bench.place / "secrets.json"
    secrets.write_text(json.dumps({"org.osbuild.files": {"user": "ann:very-secret"}}))
    secrets.chmod(0o644)
    code, result = run(bench, manifest(bench, {checksum: url}, [checksum]), "--secrets", secrets)
    assert code == 0
    assert "very-secret" not in json.dumps(result)
    found = [path for path in bench.store.rglob("*") if path.is_file() and b"very-secret" in path.read_bytes()]
    assert found == []


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({"org.osbuild.ftp": {}}, "sources.org.osbuild.ftp: unknown source"),
        ({"org.osbuild.files": {"url": {}}}, "sources.org.osbuild.files.url: unknown key"),
        (
            {"org.osbuild.files": {"urls": {"md5:0": "http://x"}}},
            "sources.org.osbuild.files.urls.md5:0: a file is named",
        ),
        ({"org.osbuild.files": {"urls": {"sha256:" + "1" * 64: "x"}}}, "expected a URL"),
        ({"org.osbuild.inline": {"items": {"sha256:" + "1" * 64: {"data": "x"}}}}, "expected {"),
    ],
)
def test_wrong_sources_are_input_errors(bench: Bench, sources: Any, message: str) -> None:
    code, result = run(bench, {"pipeline": {}, "sources": sources})
    assert code == 2
    assert message in result["error"]["message"]
