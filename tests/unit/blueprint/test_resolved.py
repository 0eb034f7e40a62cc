"""`render --resolved`: the merged blueprint has the origin of each value, and gives the same image."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osbuild_compose.blueprint import load
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.distro import catalog
from osbuild_compose.document import reader
from osbuild_compose.document.composition import annotated
from osbuild_compose.document.composition.layering import Choices, compose
from osbuild_compose.document.node import SourceText, Span, from_data
from osbuild_compose.document.reader import Document
from osbuild_compose.document.schema import schema_files
from osbuild_compose.project import Project
from tests.conftest import REPO

BLUEPRINT = schema_files.load("blueprint")

BASE = """\
distro: debian-12
vars: {domain: example.org}
packages: [openssh-server, nano]
hostname: www.${domain}
files:
  - {path: /etc/motd, source: motd}
profiles:
  dev: {packages: [gdb]}
"""
WEB = """\
name: web
extends: parts/base.yaml
packages: {append: [nginx], remove: [nano]}
description: "costs $${price}: # 5"
version: "1.10"
files:
  - path: /var/www/html/index.html
    content: |
      first $${line}

        indented # no comment
  - {path: /etc/a, content: "no newline"}
  - {path: /etc/b, content: " leading\\n"}
  - {path: /etc/c, content: "trailing \\n"}
  - {path: /etc/d, content: "two\\n\\n"}
  - {path: /etc/e, content: "\\ttab\\U0001F600\\u0085\\x00\\n"}
sysctl: {vm.swappiness: 10, net.ipv4.ip_forward: 1}
users: [{name: admin, groups: [sudo]}]
"""


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "motd").write_text("hello")
    (tmp_path / "parts" / "base.yaml").write_text(BASE)
    (tmp_path / "web.yaml").write_text(WEB)
    monkeypatch.chdir(tmp_path)
    return Path("web.yaml")


def text_of(blueprint: Blueprint) -> str:
    assert blueprint.document is not None
    return annotated.text(blueprint.document, BLUEPRINT)


def pipelines(path: Path, **choices: Any) -> list[Any]:
    return [json.loads(image.pipeline) for image in Project(**choices).images([path], ())]


def test_every_value_has_its_origin(web: Path) -> None:
    choices = Choices(["timezone=UTC"], ["dev"], ["domain=a.test"])
    lines = text_of(load.load(web, catalog.find().releases, choices)).splitlines()
    found = {line.partition("#")[0].strip(): line.rpartition("# ")[2] for line in lines if " # " in line}
    assert found["name: web"] == "web.yaml:1"
    assert found["- openssh-server"] == "parts/base.yaml:3"
    assert found["- nginx"] == "web.yaml:3"
    assert found["- gdb"] == "parts/base.yaml:8, profile dev"
    assert found["hostname: www.a.test"] == "parts/base.yaml:4, variable domain (--var domain=a.test)"
    assert found["timezone: UTC"] == "--set timezone=UTC"
    assert found["source: parts/motd"] == "parts/base.yaml:6"
    assert found["arch: x86_64"] == "default"
    without = {line.strip() for line in lines if "  # " not in line}
    assert without == {
        "packages:", "files:", "users:", "groups:", "sysctl:",
        "first $${line}", "", "indented # no comment",
    }  # fmt: skip


def test_it_renders_to_the_same_pipeline(web: Path) -> None:
    chosen = {"settings": ["timezone=UTC"], "profiles": ["dev"], "variables": ["domain=a.test"]}
    before = pipelines(web, file_name="web", **chosen)  # files are named after profiles, which the text is without
    text = text_of(Project(**chosen).load(web))
    assert "extends" not in text
    Path("whole.yaml").write_text(text)
    assert pipelines(Path("whole.yaml"), file_name="web") == before


@pytest.mark.parametrize("sample", sorted(REPO.glob("blueprints/*.yaml")), ids=lambda path: path.stem)
def test_samples_render_to_the_same_pipeline(sample: Path, tmp_path: Path) -> None:
    text = text_of(Project().load(sample))
    (tmp_path / "whole.yaml").write_text(text)
    assert pipelines(tmp_path / "whole.yaml") == pipelines(sample)


def test_defaults_of_the_schema_are_the_actual_defaults(tmp_path: Path) -> None:
    """All examples of all keys, with and without what the schema says is the default."""
    example = {
        key: node["examples"][0]
        for key, node in BLUEPRINT["properties"].items()
        if node.get("examples") and key not in ("extends", "vars", "profiles", "unset", "repositories", "cacerts")
    }
    example["files"] = [{"path": "/a", "content": "b"}]
    example["users"] = [{"name": "a"}]
    document = Document.from_tree("b.yaml", from_data(example, Span(SourceText("b.yaml"))))
    problems = schema_files.problems(document, "blueprint")
    assert not problems, [str(problem) for problem in problems]
    releases = ["debian-12", "debian-13"]
    before = load.check(document, releases)
    text = annotated.text(document, BLUEPRINT)
    assert load.check(reader.parse(text.encode(), str(tmp_path / "b.yaml")), releases) == before


texts = st.text(st.characters(codec="utf-8", exclude_characters="\ufeff")) | st.sampled_from(
    ["${", "$${a}", "no", "~", "- a", "a: b", "a #b", "\n", "a\n\nb\n", " a\n", "a \n", "\u0085", "'", "|", "0644"]
)
values = st.recursive(
    texts | st.integers(1 - 2**63, 2**63 - 1) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


keys = texts.filter(lambda key: key not in BLUEPRINT["properties"] and key != "<<")


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.dictionaries(keys, values, min_size=1, max_size=4))
def test_any_document_survives(data: dict[str, Any]) -> None:
    document = Document.from_tree("b.yaml", from_data(data, Span(SourceText("b.yaml"))))
    text = annotated.text(document, {})
    assert compose(reader.parse(text.encode(), "b.yaml"), "blueprint", Choices()).document.data == data
