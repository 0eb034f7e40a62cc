"""What a build looks like while it runs: on terminals of 80 and 200 columns, on a dumb one, and in a pipe.

The terminals are tmux's, which obeys the control sequences as terminals do. All four builds run at the same time.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import REPO

DISTRO = "inherits: debian\ntitle: Tiny\nreleases:\n  tiny-1: {inherits: debian-12, title: Tiny 1}\n"
TEMPLATE = """\
name: {{ blueprint.name }}
stages:
  - {name: org.example.slow, options: {packages: {{ blueprint.packages }}}}
assembler: {name: org.osbuild.tar, options: {filename: {{ image.filename }}}}
"""
SLOW = """#!/usr/bin/python3
import json, os, time
def report(**what):
    os.write(int(os.environ["COMPOSE_PROGRESS_FD"]), (json.dumps(what) + "\\n").encode())
report(done=0, total=0, unit="", what="unpack")
print("unpack: 0.10 s", flush=True)
report(done=34, total=134, unit="packages", what="configure")
print("Setting up nginx " + "x" * 300, flush=True)
time.sleep(3)
"""
META = {
    "summary": "Be slow",
    "title": "install packages ({packages})",
    "schema": {"type": "object", "properties": {"packages": {"type": "array"}}},
}
ROWS = 24


@dataclass
class Recording:
    """The screen while both images are made, and what was left at the end."""

    during: str
    after: str


@dataclass
class Screen:
    """A terminal in which a build runs."""

    socket: str
    name: str
    columns: int

    def start(self, command: str) -> None:
        tmux(self.socket, "new-session", "-d", "-s", self.name, "-x", str(self.columns), "-y", str(ROWS), command)

    def until(self, text: str, times: int = 1) -> str:
        """The screen once it shows a text so many times."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            shown = tmux(self.socket, "capture-pane", "-p", "-t", self.name)
            if shown.count(text) >= times:
                return shown
            time.sleep(0.05)
        raise AssertionError(f"{self.name}: no {text} in\n{shown}")


def tmux(socket: str, *arguments: str) -> str:
    command = ["tmux", "-f", "/dev/null", "-S", socket, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment()).stdout


def environment() -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if name not in ("CI", "NO_COLOR", "COLUMNS", "LINES", "TMUX")
    }
    return {**kept, "PYTHONPATH": str(REPO), "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Recording]]:
    place = tmp_path_factory.mktemp("recordings")
    (place / "templates/tiny").mkdir(parents=True)
    (place / "templates/tiny/distro.yaml").write_text(DISTRO)
    (place / "templates/tiny/pipeline.yaml.j2").write_text(TEMPLATE)
    (place / "lib/stages").mkdir(parents=True)
    (place / "lib/stages/org.example.slow").write_text(SLOW)
    (place / "lib/stages/org.example.slow").chmod(0o755)
    (place / "lib/stages/org.example.slow.meta.json").write_text(json.dumps(META))
    for name, packages in (("web", "[nginx, openssh-server, sudo, vim]"), ("database", "[postgresql]")):
        (place / f"{name}.yaml").write_text(f"name: {name}\ndistro: tiny-1\nformats: [tar]\npackages: {packages}\n")

    def command(where: str) -> list[str]:
        options = ["--templates", "templates", "--libdir", "lib", "--jobs", "2"]
        own = ["--store", f"store-{where}", "-o", f"out-{where}"]
        return [sys.executable, "-m", "osbuild_compose", "build", "web.yaml", "database.yaml", *options, *own]

    socket = str(place / "socket")
    screens = {name: Screen(socket, name, columns) for name, columns in (("80", 80), ("200", 200), ("dumb", 80))}
    for name, screen in screens.items():
        term = "dumb" if name == "dumb" else "xterm-256color"
        screen.start(f"cd {shlex.quote(str(place))}; TERM={term} {shlex.join(command(name))}; sleep 60")
    try:
        piped = subprocess.Popen(
            command("pipe"), cwd=place, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        during = {
            name: screen.until(": [2/4] install" if name == "dumb" else "Setting up nginx", 1 if name == "dumb" else 2)
            for name, screen in screens.items()
        }
        made = {name: Recording(during[name], screen.until("done in")) for name, screen in screens.items()}
        out, err = piped.communicate(timeout=60)
        assert piped.returncode == 0, err
        made["pipe"] = Recording(out, err)
        yield made
    finally:
        tmux(socket, "kill-server")


def masked(text: str) -> list[str]:
    """The lines that are not empty, with times as 0:00 and 0.0 s, bars as lines and digests as f."""
    text = re.sub(r"\b\d:\d\d\b", "0:00", text)
    text = re.sub(r"\b\d+(\.\d)? s\b", "0.0 s", text)
    text = re.sub(r"[━╸╺]", "─", text)
    text = re.sub(r"\b[0-9a-f]{12,64}\b", lambda match: "f" * len(match[0]), text)
    return [re.sub(r"^[-\\|/] ", "* ", line.rstrip()) for line in text.splitlines() if line.strip()]


def test_80_columns(recordings: dict[str, Recording]) -> None:
    shown = masked(recordings["80"].during)
    assert sorted(shown) == sorted(
        [
            "* web: install packages (nginx, openssh-server, su… ────────────            0:00",
            "  configure, 34 of 134 packages  Setting up nginx xxxxxxxxxxxxxxxxxxxxxxxxxxxxx…",
            "* database: install packages (postgresql)           ────────────            0:00",
            "  configure, 34 of 134 packages  Setting up nginx xxxxxxxxxxxxxxxxxxxxxxxxxxxxx…",
            "0 of 4 steps, 0:00",
        ]
    )
    left = [re.sub(r"(?<=\S) {2,}", "  ", line) for line in masked(recordings["80"].after)]
    assert sorted(left[:4]) == [
        "database: install packages (postgresql): 0.0 s",
        "database: make database.tar: 0.0 s",
        "web: install packages (nginx, openssh-server, sudo, vim): 0.0 s",
        "web: make web.tar: 0.0 s",
    ]
    assert left[-4:] == [
        "image  size  sha256  time  from the store",
        "web.tar  10 KiB  ffffffffffff…  0.0 s  0 of 2 steps",
        "database.tar  10 KiB  ffffffffffff…  0.0 s  0 of 2 steps",
        "done in 0.0 s",
    ]


def test_200_columns(recordings: dict[str, Recording]) -> None:
    shown = masked(recordings["200"].during)
    titles = ("web: install packages (nginx, openssh-server, sudo, vim)", "database: install packages (postgresql)")
    for title in titles:
        assert f"* {title:158}{'─' * 24}            0:00" in shown
    assert max(map(len, shown)) == 200
    assert f"web.tar       10 KiB  {'f' * 64}  0.0 s  0 of 2 steps" in masked(recordings["200"].after)


@pytest.mark.parametrize("where", ["dumb", "pipe"])
def test_lines(where: str, recordings: dict[str, Recording]) -> None:
    """Neither a dumb terminal nor a pipe gets anything but lines, each with the image's name."""
    shown = masked(recordings[where].after)
    shown = [line for line in shown if not line.startswith("/")]  # paths, which a pipe has on standard output
    assert shown[:2] == ["web: 2 run, 0 from the store", "database: 2 run, 0 from the store"]
    kinds = {re.sub(r"\[\d/4\]", "[n/4]", line) for line in shown[2:-4]}
    assert kinds >= {
        "web: [n/4] install packages (nginx, openssh-server, sudo, vim)",
        "web: [n/4] install packages (nginx, openssh-server, sudo, vim): 0.0 s",
        "database: [n/4] install packages (postgresql)",
        "database: [n/4] install packages (postgresql): 0.0 s",
        "web: [n/4] make web.tar",
        "database: [n/4] make database.tar",
    }
    assert all(line.startswith(("web: [n/4] ", "database: [n/4] ")) for line in kinds)
    if where == "pipe":
        assert "\x1b" not in recordings["pipe"].after + recordings["pipe"].during
        assert [Path(line).name for line in recordings["pipe"].during.splitlines()] == ["web.tar", "database.tar"]
