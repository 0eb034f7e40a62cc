"""Running graphs of pipelines: shared once, in parallel, trees as inputs and bases, and damage on the way."""

import json
from pathlib import Path
from typing import Any

from tests.conftest import remove
from tests.integration.runner.conftest import Bench
from tests.integration.runner.test_running import PACK, SHOW, WRITE

# Waits for another stage to run at the same time: each listens on a socket of the network, and connects to the other's.
MEET = """
import json, socket, sys, time
options = json.load(sys.stdin)["options"]
mine = socket.socket(socket.AF_UNIX)
mine.bind("\\0PLACE" + options["me"])
mine.listen()
deadline = time.monotonic() + 300
while True:
    try:
        socket.socket(socket.AF_UNIX).connect("\\0PLACE" + options["other"])
        break
    except ConnectionRefusedError:
        if time.monotonic() > deadline:
            sys.exit("the other one does not run")
        time.sleep(0.02)
mine.accept()  # the other one has found this one, too
"""
# Copies the trees that are its inputs into the tree.
MERGE = """
import json, os, shutil, sys
args = json.load(sys.stdin)
for name, found in sorted(args["inputs"].items()):
    assert found["path"] == "/run/osbuild/inputs/" + name
    shutil.copytree(found["path"], args["tree"] + "/" + name)
    try:
        open(found["path"] + "/new", "w")
    except OSError as error:
        print(name, "is read-only")
"""


def prepare(bench: Bench) -> None:
    bench.program("write", WRITE)
    bench.program("show", SHOW)
    bench.program("merge", MERGE)
    bench.program("meet", MEET.replace("PLACE", bench.place.name), network=True)
    bench.program("fail", "import sys; sys.exit(3)")
    bench.program("pack", PACK, kind="assemblers")


def write(path: str, text: str) -> dict[str, Any]:
    return {"name": "write", "options": {"path": path, "text": text}}


def build(bench: Bench, pipelines: dict[str, Any], *targets: str, jobs: int = 4) -> list[dict[str, Any]]:
    """Build the targets among the pipelines; returns the events."""
    settings = {
        "store": str(bench.store),
        "scratch": str(bench.scratch),
        "libdirs": [str(bench.place / "lib")],
        "overlay": bench.overlay,
        "jobs": jobs,
    }
    script = Path(__file__).with_name("graph_run.py").read_text()
    asked = {"pipelines": pipelines, "targets": targets, "settings": settings}
    done = bench.account.run([bench.account.python, "-c", script, json.dumps(asked)])
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def ended(events: list[dict[str, Any]], state: str) -> list[str]:
    return [event["name"] for event in events if event["event"] == "end" and event["state"] == state]


def log(events: list[dict[str, Any]]) -> list[str]:
    return [event["line"] for event in events if event["event"] == "log"]


def diamond(value: str = "1") -> dict[str, Any]:
    return {
        "below": {"stages": [write("etc/shared", value)]},
        "left": {"base": "below", "stages": [write("etc/left", "l")]},
        "right": {"base": "below", "stages": [write("etc/right", "r")]},
        "image": {
            "stages": [{"name": "merge", "inputs": {"one": "left", "two": "right"}}, {"name": "show"}],
            "assembler": {"name": "pack"},
        },
        "spare": {"stages": [{"name": "fail"}]},
    }


def test_a_diamond_is_built_once_and_its_trees_are_read(any_bench: Bench) -> None:
    prepare(any_bench)
    events = build(any_bench, diamond(), "image")
    assert ended(events, "done") == ["write"] * 3 + ["merge", "show", "pack"]
    *read_only, shown = [line for line in log(events) if not line.startswith("wrote")]
    assert read_only == ["one is read-only", "two is read-only"]
    assert json.loads(shown) == {
        "one/etc/left": "l",
        "one/etc/shared": "1",
        "two/etc/right": "r",
        "two/etc/shared": "1",
    }
    again = build(any_bench, diamond(), "image")
    assert (ended(again, "done"), ended(again, "cached")) == ([], ["pack"])


def test_independent_pipelines_of_a_manifest_run_at_the_same_time(bench: Bench) -> None:
    prepare(bench)
    pipelines = {
        "a": {"stages": [{"name": "meet", "options": {"me": "a", "other": "b"}}]},
        "b": {"stages": [{"name": "meet", "options": {"me": "b", "other": "a"}}]},
        "both": {"stages": [{"name": "merge", "inputs": {"a": "a", "b": "b"}}]},
    }
    assert ended(build(bench, pipelines, "both"), "done") == ["meet", "meet", "merge"]


def test_a_failing_pipeline_stops_those_that_need_it_and_no_others(any_bench: Bench) -> None:
    prepare(any_bench)
    pipelines = {
        "bad": {"stages": [{"name": "fail"}]},
        "needs": {"base": "bad", "stages": [{"name": "show"}]},
        "other": {"stages": [write("a", "1"), write("b", "2")]},
    }
    events = build(any_bench, pipelines, "needs", "other", jobs=1)
    assert ended(events, "failed") == ["fail"]
    assert ended(events, "done") == ["write", "write"]
    assert "fail failed with exit code 3" in events[-1]["message"]


def test_a_damaged_layer_that_two_pipelines_need_is_made_again_once(any_bench: Bench) -> None:
    prepare(any_bench)
    build(any_bench, diamond(), "left")
    remove(any_bench.scratch)
    for archive in (any_bench.store / "layers").glob("*.zst"):
        archive.write_bytes(b"")
    events = build(any_bench, diamond(), "image")
    assert [event["message"] for event in events if event["event"] == "note" and "damaged" in event["message"]]
    assert ended(events, "done") == ["write"] * 3 + ["merge", "show", "pack"]
    assert "error" not in {event["event"] for event in events}
    shown = json.loads(next(line for line in log(events) if line.startswith("{")))
    assert shown["one/etc/shared"] == shown["two/etc/shared"] == "1"
