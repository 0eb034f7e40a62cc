"""Fetching from servers that break off, ignore ranges or never end, and from addresses that are no plain file."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.runner.conftest import Bench
from tests.integration.runner.source_files import Server, manifest, run, serving

DATA = bytes(range(256)) * 4000
CUT = 300_000
SMALL = 64 * 1024**2  # bytes of the file system of small_bench's store


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def small_bench(bench: Bench) -> Iterator[Bench]:
    """A bench whose store is on a small file system of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a file system for this test")
    bench.store.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", bench.store], check=True)
    try:
        shutil.chown(bench.store, bench.account.name)
        yield bench
    finally:
        subprocess.run(["umount", bench.store], check=True)


def stored(bench: Bench, checksum: str) -> Path:
    return bench.store / "downloads" / "sha256" / checksum.removeprefix("sha256:")


def partials(bench: Bench) -> list[Path]:
    return list((bench.store / "downloads" / "partial").iterdir())


def started(bench: Bench, document: Any) -> subprocess.Popen[str]:
    """The runner at work on a manifest."""
    path = bench.place / "manifest.json"
    path.write_text(json.dumps(document))
    path.chmod(0o644)
    argv = [bench.account.python, "-m", "runner", *bench.argv("--json")[:-1], path]
    return subprocess.Popen(
        bench.account.argv(argv),
        env=bench.account.environment(),
        cwd=bench.account.home,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wanted(bench: Bench, *offers: tuple[str, Any]) -> dict[str, Any]:
    """A manifest whose stage needs these files."""
    document = manifest(bench, dict(offers), [checksum for checksum, _ in offers])
    bench.program("cat", "print('seen')")
    return document


def failure(result: dict[str, Any]) -> str:
    return "\n".join([result["error"]["message"], *result["error"]["details"], result["error"]["hint"]])


@pytest.mark.parametrize("ranges", ["ignored", "unsaid", "other", "closed", 403, 500, 501])
def test_a_server_that_does_not_continue_a_file_is_asked_for_all_of_it(
    bench: Bench, server: Server, ranges: str | int
) -> None:
    checksum, url = server.add("file", DATA)
    server.cut, server.ranges = CUT, ranges
    code, result = run(bench, wanted(bench, (checksum, url)))
    assert code == 0, result
    assert server.asked == [("/file", ""), ("/file", f"bytes={CUT}-"), ("/file", "")]
    assert stored(bench, checksum).read_bytes() == DATA
    assert partials(bench) == []


def test_what_was_fetched_from_another_address_is_not_continued(bench: Bench, server: Server) -> None:
    checksum, url = server.add("file", DATA)
    server.cut = CUT
    server.stalls.add("/file")
    interrupt(bench, server, wanted(bench, (checksum, url)), signal.SIGTERM)
    assert len(partials(bench)) == 1
    server.add("other", DATA)
    code, result = run(bench, wanted(bench, (checksum, f"{server.url}/other")))
    assert code == 0, result
    assert server.asked == [("/file", ""), ("/other", "")]
    assert partials(bench) == []


def interrupt(bench: Bench, server: Server, document: Any, number: signal.Signals) -> int:
    """Send a signal to the runner once it has begun to fetch from a server that stalls; returns its exit code."""
    with started(bench, document) as process:
        assert server.stalled.wait(300)
        until = time.monotonic() + 300
        while not any(path.stat().st_size for path in partials(bench)) and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(number)
        process.communicate(timeout=300)
    return process.returncode


def test_an_interrupted_download_is_continued_the_next_time(bench: Bench, server: Server) -> None:
    checksum, url = server.add("file", DATA)
    server.cut = CUT
    server.stalls.add("/file")
    document = wanted(bench, (checksum, url))
    assert interrupt(bench, server, document, signal.SIGINT) == 130
    code, result = run(bench, document)
    assert code == 0, result
    assert len(server.asked) == 2
    assert int(server.asked[1][1].removeprefix("bytes=").removesuffix("-")) > 0


def test_cache_clear_removes_what_was_fetched_so_far(bench: Bench, server: Server) -> None:
    checksum, url = server.add("file", DATA)
    server.cut = CUT
    server.stalls.add("/file")
    interrupt(bench, server, wanted(bench, (checksum, url)), signal.SIGINT)
    done = bench.account.compose("cache", "clear", "--store", bench.store)
    assert done.returncode == 0, done.stderr
    assert partials(bench) == []


def test_curl_ends_with_a_runner_that_is_killed(bench: Bench, server: Server) -> None:
    checksum, url = server.add("file", DATA)
    server.cut = CUT
    server.stalls.add("/file")
    interrupt(bench, server, wanted(bench, (checksum, url)), signal.SIGKILL)
    assert server.gone.wait(300)


def test_skopeo_ends_with_a_runner_that_is_killed(bench: Bench, server: Server) -> None:
    if shutil.which("skopeo") is None:
        pytest.skip("needs skopeo")
    checksum = "sha256:" + "1" * 64
    image = {"name": f"{server.url.removeprefix('http://')}/a", "digest": checksum, "tls-verify": False}
    document = manifest(bench, {}, [checksum], **{"org.osbuild.skopeo": {"items": {checksum: {"image": image}}}})
    server.files["/v2/"] = b"{}"
    server.cut = 1
    server.files[f"/v2/a/manifests/{checksum}"] = DATA
    server.stalls.add(f"/v2/a/manifests/{checksum}")
    with started(bench, document) as process:
        assert server.stalled.wait(300)
        process.kill()
        process.communicate(timeout=300)
    assert server.gone.wait(300)


@pytest.mark.parametrize("endless", [1, 3])
def test_a_file_without_an_end_is_stopped_before_the_store_is_full(
    small_bench: Bench, server: Server, endless: int
) -> None:
    bench = small_bench
    good = server.add("good", DATA)
    server.endless = {f"/endless{number}" for number in range(endless)}
    offers = [("sha256:" + str(number + 1) * 64, f"{server.url}/endless{number}") for number in range(endless)]
    code, result = run(bench, wanted(bench, good, *offers))
    assert code == 1
    for _, url in offers:
        assert f"{url}: it does not fit: " in failure(result)
    assert str(bench.store) in failure(result)
    assert "free space where the store lies, or move it: --store" in failure(result)
    assert partials(bench) == []
    assert stored(bench, good[0]).read_bytes() == DATA
    assert shutil.disk_usage(bench.store).free > SMALL // 2


def test_a_file_that_says_it_is_too_large_is_not_begun(bench: Bench, server: Server) -> None:
    checksum, url = server.add("file", DATA)
    server.claimed = 10**18
    code, result = run(bench, wanted(bench, (checksum, url)))
    assert code == 1
    assert f"{url}: it does not fit: " in failure(result)
    assert server.asked == [("/file", "")]
    assert partials(bench) == []


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "pipe", "directory", "link"])
def test_only_regular_files_of_this_machine_are_copied(small_bench: Bench, path: str) -> None:
    bench = small_bench
    os.mkfifo(bench.place / "pipe", 0o644)
    (bench.place / "directory").mkdir()
    (bench.place / "link").symlink_to("/dev/zero")
    url = f"file://{bench.place / path}"
    code, result = run(bench, wanted(bench, ("sha256:" + "1" * 64, url)))
    assert code == 1
    assert f"{url}: it is not a regular file" in failure(result)
    assert partials(bench) == []


def test_a_file_of_this_machine_that_does_not_fit_is_not_copied(small_bench: Bench) -> None:
    bench = small_bench
    large = bench.place / "large"
    with large.open("wb") as file:
        file.truncate(10**12)
    large.chmod(0o644)
    code, result = run(bench, wanted(bench, ("sha256:" + "1" * 64, f"file://{large}")))
    assert code == 1
    assert f"file://{large}: it does not fit: it has 1000.0 GB" in failure(result)
    assert partials(bench) == []


@pytest.mark.parametrize("name", ["a{b,c}.txt", "a[1-3].txt", "a{}[].txt", "a[.txt", "a#1"])
def test_brackets_in_an_address_mean_themselves(bench: Bench, server: Server, name: str) -> None:
    checksum, _ = server.add(name.partition("#")[0], name.encode())
    local = bench.place / name
    local.write_bytes(b"local")
    local.chmod(0o644)
    here = "sha256:" + hashlib.sha256(b"local").hexdigest()
    address = f"file://{local}".replace("#", "%23")
    code, result = run(bench, wanted(bench, (checksum, f"{server.url}/{name}"), (here, address)))
    assert code == 0, result
    assert server.asked == [(f"/{name.partition('#')[0]}", "")]


def test_two_files_that_one_address_should_be_fail_each_for_itself(bench: Bench, server: Server) -> None:
    checksum, url = server.add("file", DATA)
    code, result = run(bench, wanted(bench, (checksum, url), ("sha256:" + "1" * 64, url)))
    assert code == 1
    assert result["error"]["message"] == "1 of 2 source files could not be fetched"
    assert f"{url}: the content does not match the digest" in failure(result)
    assert stored(bench, checksum).read_bytes() == DATA


@pytest.mark.parametrize("kind", ["link", "pipe", "directory"])
def test_what_is_no_regular_file_in_the_store_is_fetched_again(bench: Bench, server: Server, kind: str) -> None:
    checksum, url = server.add("file", DATA)
    assert run(bench, wanted(bench, (checksum, url)))[0] == 0
    path = stored(bench, checksum)
    outside = bench.place / "outside"
    path.rename(outside)
    if kind == "link":
        path.symlink_to(outside)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
        if os.geteuid() == 0:
            shutil.chown(path, bench.account.name)
    document = wanted(bench, (checksum, url))
    document["pipeline"]["stages"][0]["options"]["again"] = True
    code, result = run(bench, document)
    assert code == 0, result
    assert not path.is_symlink()
    assert path.read_bytes() == DATA
    assert outside.read_bytes() == DATA


def test_partial_downloads_are_not_written_through_links(bench: Bench, server: Server) -> None:
    checksum, url = server.add("file", DATA)
    assert run(bench, wanted(bench, server.add("first", b"1")))[0] == 0
    outside = bench.place / "outside"
    outside.mkdir()
    if os.geteuid() == 0:
        shutil.chown(outside, bench.account.name)
    (outside / checksum.removeprefix("sha256:")).write_bytes(DATA)
    partial = bench.store / "downloads" / "partial"
    partial.rmdir()
    partial.symlink_to(outside)
    code, result = run(bench, wanted(bench, (checksum, url)))
    assert code == 0, result
    assert [path.name for path in outside.iterdir()] == [checksum.removeprefix("sha256:")]
    assert server.asked == [("/first", ""), ("/file", "")]
