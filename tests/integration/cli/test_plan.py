"""`compose plan` with a real store: of several blueprints, never built and changed ones."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPO

DISTRO = "inherits: debian\ntitle: Tiny\nreleases:\n  tiny-1: {inherits: debian-12, title: Tiny 1}\n"
TEMPLATE = """\
name: {{ blueprint.name }}
stages:
  - name: org.osbuild-compose.files
    options: {files: [{path: /packages, content: {{ blueprint.packages | join(" ") }}}]}
  - name: org.osbuild.hostname
    options: {hostname: {{ blueprint.hostname or "tiny" }}}
  {% if blueprint.timezone %}
  - name: org.osbuild-compose.files
    options: {files: [{path: /zone, content: {{ blueprint.timezone }}}]}
  {% endif %}
  - name: org.osbuild-compose.provenance
    options: {documents: {}}
assembler: {name: org.osbuild.tar, options: {filename: {{ image.filename }}}}
"""
WEB = "name: web\ndistro: tiny-1\nformats: [tar]\nhostname: web\ntimezone: UTC\npackages: [nginx, sudo]\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with the distribution and two blueprints."""
    (tmp_path / "templates/tiny").mkdir(parents=True)
    (tmp_path / "templates/tiny/distro.yaml").write_text(DISTRO)
    (tmp_path / "templates/tiny/pipeline.yaml.j2").write_text(TEMPLATE)
    (tmp_path / "web.yaml").write_text(WEB)
    (tmp_path / "db.yaml").write_text(WEB.replace("web", "db").replace("nginx", "postgresql"))
    return tmp_path


def compose(place: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "osbuild_compose", *arguments, "--templates", "templates", "--store", "store"],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def plan(place: Path, *arguments: str) -> list[str]:
    """The lines of a plan, with times as T and single spaces."""
    text = re.sub(r" +\d+\.\d s", " T", compose(place, "plan", *arguments))
    return [re.sub(r"(?<=\S) {2,}", " ", line) for line in text.splitlines()]


def test_plans(place: Path) -> None:
    """What was never built, what nothing is to do about, and what changed, in the blueprint's words."""
    assert plan(place, "web.yaml") == [
        "web: never built with this store",
        "  run create files (/packages) ?",
        "  run set the host name to web ?",
        "  run create files (/zone) ?",
        "  run record in the tree how it was built ?",
        "  run make web.tar ?",
        "",
        "5 run, 0 from the store",
    ]
    compose(place, "build", "web.yaml", "-o", "out")
    # Nothing that the store knows of another blueprint's build is shown as a change of this one.
    web, nothing, other, *steps, _, last = plan(place, "web.yaml", "db.yaml")[:2] + plan(place, "db.yaml")
    assert (web, nothing) == ("web: nothing has to run", "  cached make web.tar")
    assert other == "db: never built with this store"
    assert not [line for line in steps if "nginx" in line or "changed" in line]
    assert steps[1] == "  run set the host name to db T"
    assert re.fullmatch(r"5 run, 0 from the store, about \d+ s", last)

    (place / "web.yaml").write_text(
        WEB.replace("timezone: UTC\n", "").replace("sudo]", "vim]").replace("web\nt", "w\nt")
    )
    assert plan(place, "web.yaml")[:-1] == [
        "web: packages: + vim (web.yaml:5), - sudo; timezone is gone",
        "  run create files (/packages) T packages: + vim (web.yaml:5), - sudo",
        "  run set the host name to web T follows: create files (/packages)",
        "  run record in the tree how it was built T the image contains its blueprint",
        "  run make web.tar T follows: create files (/packages)",
        "",
    ]
    (place / "web.yaml").write_text(WEB.replace("hostname: web", "hostname: www"))
    assert plan(place, "web.yaml")[:3] == [
        "web: hostname changed (web.yaml:4)",
        "  cached create files (/packages)",
        "  run set the host name to www T hostname changed (web.yaml:4)",
    ]
    found = json.loads(compose(place, "plan", "web.yaml", "db.yaml", "--json"))
    assert found["pipelines"] == [{"name": "web", "built_before": True}, {"name": "db", "built_before": False}]
    assert [action["target"] for action in found["actions"]] == [0] * 5 + [1] * 5
    assert found["actions"][1]["changes"][0]["path"] == ["hostname"]
    assert found["actions"][1]["seconds"] > 0
