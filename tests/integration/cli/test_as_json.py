"""Errors as data: `--json` of the commands that read blueprints."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REPO


def compose(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "osbuild_compose", *map(str, arguments)]
    return subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(REPO), "PATH": "/usr/bin:/bin"},
    )


@pytest.mark.parametrize("command", ["check", "render", "plan", "build"])
def test_errors_are_data_on_standard_output_and_text_on_the_other(command: str, tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("distro: debian-12\nusers: [{name: a, uid: x}]\n")
    (tmp_path / "web.yaml").write_text("name: web\nextends: base.yaml\npakages: [nginx]\n")
    done = compose(command, "web.yaml", "--json", cwd=tmp_path)
    assert done.returncode == 2
    told: dict[str, Any] = json.loads(done.stdout)
    assert told["success"] is False
    assert [(error["file"], error["line"], error["column"], error["path"]) for error in told["errors"]] == [
        ("web.yaml", 3, 1, "pakages"),
        ("base.yaml", 2, 24, "users.0.uid"),
    ]
    first, second = told["errors"]
    assert first["suggestion"] == "packages"
    assert first["hint"] == "did you mean `packages`?"
    assert first["reference"] == "docs/reference/blueprint.md#keys"
    assert second["message"] == "`uid` must be a whole number, not text"
    assert second["expected"] == "a whole number"
    assert "web.yaml:3:1: error: unknown key `pakages`" in done.stderr


def test_errors_of_the_distribution_are_data_too(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("name: web\ndistro: debian-12\nselinux: enforcing\n")
    (error,) = json.loads(compose("check", "web.yaml", "--json", cwd=tmp_path).stdout)["errors"]
    assert (error["path"], error["line"], error["reference"]) == ("selinux", 3, "docs/reference/blueprint.md#selinux")


def test_errors_of_options_are_data_too(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("name: web\ndistro: debian-12\n")
    (error,) = json.loads(compose("render", "web.yaml", "--json", "--set", "disk.size=4X", cwd=tmp_path).stdout)[
        "errors"
    ]
    assert (error["file"], error["line"], error["path"]) == ("--set disk.size=4X", 0, "disk.size")


def test_what_is_right(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("name: web\ndistro: debian-12\nformats: [raw, tar]\n")
    told = json.loads(compose("check", "web.yaml", "--json", cwd=tmp_path).stdout)
    assert told["success"] is True
    assert told["errors"] == []
    assert sorted(name for image in told["images"] for name in image["formats"]) == ["raw", "tar"]


DOUBTFUL = """
name: web
distro: debian-12
users:
  - {name: a, ssh_keys: [ssh-ed25519 AAAA... a@laptop]}
  - {name: b, password: $6$salt$hash}
"""


def test_what_is_doubtful_is_reported_and_refused_nowhere(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text(DOUBTFUL)
    done = compose("check", "web.yaml", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["warnings"]
    assert [(one["line"], one["path"]) for one in found] == [(5, "users.0.ssh_keys.0"), (6, "users.1.password")]
    assert "web.yaml:5:26: warning: the SSH key is incomplete" in done.stderr
    assert "web.yaml:6:25: warning: `password` is an incomplete hash" in done.stderr
    assert compose("render", "web.yaml", cwd=tmp_path).returncode == 0
