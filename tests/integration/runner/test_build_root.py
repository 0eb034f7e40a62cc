"""Build pipelines that make a real Debian system: the stages of other pipelines run in it, with its tools."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from runner.manifest import v1
from tests.conftest import REPO, remove
from tests.integration.runner.conftest import Bench, Ran, step

# A release other than the host's, so that it shows whose tools run.
HOST = Path("/usr/lib/os-release").read_text()
RELEASE = "12" if 'VERSION_ID="13"' in HOST else "13"
PACKAGES = ["python3-minimal", "libpython3-stdlib", "e2fsprogs", "tar", "zstd"]
LOOK = """
import json, os, subprocess, sys
release = dict(line.rstrip().split("=", 1) for line in open("/usr/lib/os-release"))
version = subprocess.run(["mke2fs", "-V"], capture_output=True, text=True).stderr.split()[1]
print(json.dumps({"release": release["VERSION_ID"], "python": sys.version.split()[0], "mke2fs": version,
                  "marks": sorted(n for n in os.listdir("/usr") if n.startswith("mark"))}))
"""
MARK = "import json, sys; a = json.load(sys.stdin); open(a['tree'] + '/usr/mark-' + a['options']['name'], 'w').close()"


def apt_stage(place: Path) -> dict[str, Any]:
    """The stage that installs a small Debian with Python, from wherever this machine gets its packages."""
    blueprint = place / "root.yaml"
    blueprint.write_text(f"name: root\ndistro: debian-{RELEASE}\n")
    argv = [sys.executable, "-m", "osbuild_compose", "render", str(blueprint)]
    rendered = subprocess.run(
        argv, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(REPO)}
    )
    stage: dict[str, Any] = json.loads(rendered.stdout)["stages"][0]
    stage["options"]["packages"] = PACKAGES
    return stage


def looked(ran: Ran) -> dict[str, Any]:
    assert ran.returncode == 0, ran.result["error"]
    return dict(json.loads(ran.output()))


def test_stages_run_in_a_debian_made_by_another_pipeline(bench: Bench) -> None:
    bench.program("look", LOOK)
    bench.program("mark", MARK)
    debian = {"stages": [apt_stage(bench.place)]}

    # As a pipeline by itself.
    first = looked(bench.run("look", ("look", {"again": True}), build=debian))
    host = looked(bench.run("look"))
    assert first["release"] == f'"{RELEASE}"' != host["release"]
    assert first["mke2fs"] != host["mke2fs"]
    assert first["python"] != host["python"]

    # The other form of it. The tree is in the store and is not made again.
    ran = bench.run(("look", {"form": 2}), build={"pipeline": debian, "runner": "org.osbuild.debian"})
    assert looked(ran) == first
    assert [(s["name"], s["cached"]) for s in ran.result["stages"]] == [
        ("org.osbuild-compose.apt", True),
        ("look", False),
    ]

    # Nested: the root that stages run in is itself made in a root.
    tree_id = v1.load(debian).target.tree_id
    outer = {"build": debian, "base": tree_id, "stages": [step(("mark", {"name": "outer"}))]}
    nested = bench.run(("look", {"nested": 1}), build=outer)
    assert looked(nested) == {**first, "marks": ["mark-outer"]}
    assert [(s["name"], s["cached"]) for s in nested.result["stages"]] == [
        ("org.osbuild-compose.apt", True),
        ("mark", False),
        ("look", False),
    ]

    # Nothing has to run in a root whose stages' results are there: then it is not even unpacked.
    remove(bench.scratch)
    again = bench.run(("look", {"nested": 1}), build=outer)
    assert [(s["name"], s["cached"]) for s in again.result["stages"]] == [("look", True)]
    assert not bench.scratch.exists()
