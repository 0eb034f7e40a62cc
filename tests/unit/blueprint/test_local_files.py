"""Paths of local files are relative to the blueprint they are in, also when another one extends it."""

import shutil
from pathlib import Path

from osbuild_compose.blueprint import load
from osbuild_compose.distro.repository import DebRepository
from tests.conftest import REPO

BASE = """
name: base
distro: debian-13
repositories: [default, {url: http://x, suites: [s], keys: [k.asc]}]
cacerts: [company.pem]
units: [{name: a.service, source: text, dropins: [{name: b.conf, source: text}]}]
udev_rules: [{name: a.rules, source: text}]
scripts: [{source: text}]
first_boot: [{source: text}]
files: [{path: /a, source: text}, {path: /b, content: c}]
containers: [{name: a, source: text}]
"""


def test_every_key_that_names_a_file(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "base.yaml").write_text(BASE)
    (base / "text").write_text("[Service]\n")
    shutil.copy(REPO / "tests/integration/keys/company.pem", base)
    shutil.copy(REPO / "templates/debian/keys/debian-archive-trixie-stable.asc", base / "k.asc")
    (tmp_path / "own").write_text("own\n")
    top = tmp_path / "top.yaml"
    top.write_text("extends: base/base.yaml\nname: top\nfiles: {append: [{path: /b, source: own}]}\n")
    blueprint = load.load(top, ["debian-13"])
    (repository,) = blueprint.repositories.own
    assert isinstance(repository, DebRepository)
    assert repository.keys == ((base / "k.asc").read_text(),)
    assert len(blueprint.cacerts) == 1
    (unit,) = blueprint.units
    texts = [unit.content, unit.dropins[0].content, blueprint.udev_rules[0].content, blueprint.scripts[0].content]
    assert [*texts, blueprint.first_boot[0].content] == ["[Service]\n"] * 5
    assert [(file.path, file.content) for file in blueprint.files] == [("/a", "[Service]\n"), ("/b", "own\n")]
    assert blueprint.containers[0].url == f"file://{base}/text"
