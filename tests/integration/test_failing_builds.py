"""Errors that come while building point to the blueprint's lines, and say in its words what to do."""

import os
from pathlib import Path

import pytest

from tests.conftest import REPO, store_of
from tests.integration.cli.commands import compose

CASES = REPO / "tests/cases"
HEAD = "name: f\ndistro: debian-12\nformats: [tar]\n"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="builds with root's store")


def failed(path: Path, tmp_path: Path) -> str:
    """What is told about the build of the blueprint, which fails."""
    done = compose("build", path.name, "-o", str(tmp_path / "out"), "--store", str(store_of("root")), cwd=path.parent)
    assert done.returncode == 1, done.stderr
    told = done.stderr[done.stderr.index("error: ") :]
    assert "stage" not in told.partition("hint: ")[2]
    assert "option: " not in told
    return done.stderr


def test_service_without_its_package(tmp_path: Path) -> None:
    told = failed(CASES / "service-without-its-package.yaml", tmp_path)
    assert "service-without-its-package.yaml:5:22: error: " in told
    assert "    `services` has httpd, which is apache2 in debian-12\n" in told
    assert "  hint: add apache2 to `packages`\n" in told


def test_script_without_network(tmp_path: Path) -> None:
    told = failed(CASES / "script-without-network.yaml", tmp_path)
    assert "script-without-network.yaml:5:11: error: " in told
    assert "  hint: scripts have no network: " in told


@pytest.mark.parametrize(
    ("text", "place", "hint"),
    [
        ("users: [{name: ops, groups: [adm, nosuch]}]\n", "4:35", "add it to `groups`, or its package to `packages`"),
        ("users: [{name: ops, uid: 33}]\n", "4:26", "write another `uid`, or leave it out"),
        ("groups: [{name: www-data, gid: 44}]\n", "4:32", "leave out `gid`, or write 33"),
        ("packages: [jq, qqqqzzzz]\n", "4:16", "check the names"),
    ],
)
def test_the_line_of_the_blueprint(tmp_path: Path, text: str, place: str, hint: str) -> None:
    (tmp_path / "f.yaml").write_text(HEAD + text)
    told = failed(tmp_path / "f.yaml", tmp_path)
    assert f"f.yaml:{place}: error: " in told
    assert f"  hint: {hint}" in told
