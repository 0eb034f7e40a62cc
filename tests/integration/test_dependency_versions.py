"""The oldest versions of the libraries that pyproject.toml allows; other tests run with the newest."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
# What these libraries decide: places in YAML, messages, templates, options and help, tables.
TESTS = ("tests/unit/blueprint/test_bad_blueprints.py", "tests/unit/compile/test_templates.py", "tests/unit/report")


def requirements() -> list[Requirement]:
    """What osbuild-compose needs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [Requirement(text) for text in project["dependencies"]]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with the oldest versions and pytest."""
    place = tmp_path_factory.mktemp("oldest")
    python = place / "bin" / "python"
    oldest = [
        f"{item.name}=={spec.version}" for item in requirements() for spec in item.specifier if spec.operator == ">="
    ]
    assert len(oldest) == len(requirements())
    subprocess.run(["/usr/bin/python3", "-m", "venv", place], check=True)
    pip = [python, "-m", "pip", "-q", "--disable-pip-version-check", "install"]
    subprocess.run([*pip, *oldest, "pytest", "pytest-xdist", "hypothesis"], check=True)
    return python


def test_the_oldest_versions_say_and_make_the_same(python: Path) -> None:
    argv = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr


def test_the_oldest_versions_show_the_same_help(python: Path) -> None:
    for command in ((), ("build",), ("templates", "eject")):
        argv = ["-m", "osbuild_compose", *command, "--help"]
        shown = [
            subprocess.run(
                [one, *argv], cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "100"}
            )
            for one in (python, sys.executable)
        ]
        assert shown[0].stdout == shown[1].stdout
        assert "--help" in shown[0].stdout


def test_libraries_whose_private_parts_are_used_have_an_upper_bound() -> None:
    bounded = {item.name for item in requirements() if any(spec.operator == "<" for spec in item.specifier)}
    assert {"jinja2", "ruamel.yaml", "typer"} <= bounded
