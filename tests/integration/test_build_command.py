"""`compose build` with several images in one run, and with stages that fail: a distribution of three small stages."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import REPO
from tests.integration.cli.commands import compose

DISTRO = "inherits: debian\ntitle: Tiny\nreleases:\n  tiny-1: {inherits: debian-12, title: Tiny 1}\n"
TEMPLATE = """\
name: {{ blueprint.name }}
stages:
  - name: org.osbuild-compose.files
    options: {files: [{path: /base, content: "of all images"}]}
  - name: org.osbuild.hostname
    options: {hostname: {{ blueprint.hostname or "tiny" }}}
  {% for file in blueprint.files if file.path == "/fail" %}
  - name: org.osbuild.error
    options: {returncode: 7}
  {% endfor %}
assembler:
  {% if image.tar %}
  name: org.osbuild.tar
  options: {filename: {{ image.filename }}}
  {% else %}
  name: org.osbuild-compose.image
  options: {identity: {{ image.identity }}, outputs: {{ image.outputs }}}
  {% endif %}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with the distribution and two blueprints, of which `bad` fails."""
    distro = tmp_path / "templates" / "tiny"
    distro.mkdir(parents=True)
    (distro / "distro.yaml").write_text(DISTRO)
    (distro / "pipeline.yaml.j2").write_text(TEMPLATE)
    for name, more in (("one", ""), ("two", "hostname: two\n"), ("bad", "files: [{path: /fail, content: x}]\n")):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\ndistro: tiny-1\nformats: [tar]\n{more}")
    return tmp_path


def argv(*arguments: str) -> list[str]:
    here = ["--templates", "templates", "--store", "store", "-o", "out"]
    return [sys.executable, "-m", "osbuild_compose", "build", *arguments, *here]


def environment(term: str) -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR")}
    return {**plain, "PYTHONPATH": str(REPO), "TERM": term}


def build(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv(*arguments), cwd=place, env=environment("dumb"), capture_output=True, text=True, check=False
    )


def test_what_images_share_is_made_once(place: Path) -> None:
    done = build(place, "one.yaml", "two.yaml", "--format", "tar", "--format", "tar.gz")
    assert done.returncode == 0, done.stderr
    names = ["one.tar", "one.tar.gz", "two.tar", "two.tar.gz"]
    assert done.stdout.splitlines() == [f"{place}/out/{name}" for name in names]
    assert sorted(path.name for path in (place / "out").iterdir()) == names
    told = done.stderr.splitlines()
    assert told[:2] == ["one: 3 run, 0 from the store", "two: 2 run, 1 from the store"]
    # A step that took long has a line when it ends, too.
    started = {line for line in told if re.match(r"(one|two): \[\d/5\] [^:]+$", line)}
    assert sum("create files (/base)" in line for line in started) == 1
    assert sorted(line.partition(":")[0] for line in started if "set the host name" in line) == ["one", "two"]
    assert len(started) == 5
    assert [line.split()[0] for line in told[-6:]] == ["image", *names, "done"]


def test_the_json_tells_what_became_of_each_image(place: Path) -> None:
    done = build(place, "one.yaml", "bad.yaml", "--json", "--jobs", "2")
    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert document["success"] is False
    assert [(image["blueprint"], image["success"]) for image in document["images"]] == [("one", True), ("bad", False)]
    assert document["images"][0]["files"] == [f"{place}/out/one.tar"]
    assert "org.osbuild.error failed with exit code 7" in document["error"]["message"]


def test_what_fails_for_several_images_is_tried_and_reported_once(place: Path) -> None:
    done = build(place, "bad.yaml", "--format", "tar", "--format", "tar.gz")
    assert done.returncode == 1
    assert done.stderr.count("bad: [3/4] fail deliberately\n") == 1
    assert done.stderr.count("error: org.osbuild.error failed") == 1


def test_a_failed_stage_is_reported_with_the_command_for_a_shell_in_its_sandbox(place: Path) -> None:
    done = build(place, "bad.yaml")
    again = "compose build bad.yaml --templates templates --store store -o out --debug-shell"
    assert f"to run org.osbuild.error again, with a shell in its sandbox: {again}\n" in done.stderr
    shown = on_terminal(argv("bad.yaml", "--debug-shell"), place, "cat /run/osbuild/tree/base; exit\n")
    assert "bad: 2 run, 2 from the store" in shown
    assert "of all images" in shown
    assert "failed with exit code 7" in shown
    assert "to run" not in shown


def on_terminal(command: list[str], place: Path, typed: str) -> str:
    """Run a command on a terminal of its own, type something at its first prompt, return all that was shown."""
    main, other = pty.openpty()
    with subprocess.Popen(
        command, cwd=place, stdin=other, stdout=other, stderr=other, env=environment("xterm"), start_new_session=True
    ):
        os.close(other)
        shown = b""
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            if not select.select([main], [], [], 0.2)[0]:
                continue
            try:
                shown += os.read(main, 4096)
            except OSError:
                break
            if typed and (b"# " in shown or b"$ " in shown):
                os.write(main, typed.encode())
                typed = ""
    os.close(main)
    return shown.decode(errors="replace")


def test_trees_of_machines_and_containers_in_one_run(place: Path) -> None:
    """What both have is made once; in this distribution's template that is all of the tree."""
    done = build(place, "one.yaml", "--format", "squashfs", "--format", "tar", "--json")
    assert done.returncode == 0, done.stderr
    images = json.loads(done.stdout)["images"]
    assert [image["formats"] for image in images] == [["squashfs"], ["tar"]]
    assert images[0]["tree_id"] == images[1]["tree_id"]
    assert {path.name for path in (place / "out").iterdir()} == {"one.squashfs", "one.tar"}


def test_a_document_with_two_pipelines_is_run_as_it_was_rendered(place: Path) -> None:
    (place / "both.yaml").write_text("name: both\ndistro: tiny-1\nformats: [squashfs, tar]\n")
    text = told(place, "render", "both.yaml", "--templates", "templates")
    assert [part["name"] for part in json.loads(text)["pipelines"]] == ["both", "both"]
    planned = told(place, "plan", "both.yaml", "--templates", "templates", "--store", "store")
    assert "4 run, 2 from the store" in planned  # the second tree's stages are those of the first
    (place / "both.json").write_text(text)
    told(place, "run", "both.json", "-o", "out", "--store", "store")
    assert {path.name for path in (place / "out").iterdir()} == {"both.squashfs", "both.tar"}


def told(place: Path, *arguments: str) -> str:
    """What the command, which has to end well, prints."""
    done = compose(*arguments, cwd=place)
    assert done.returncode == 0, done.stderr
    return done.stdout
