"""A distribution or a changed block is a directory of one's own; its mistakes are told with template and line."""

from pathlib import Path
from typing import Any

import pytest

from osbuild_compose.blueprint.formats import Format, Output
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.compile import pipeline
from osbuild_compose.compile.request import BuildRequest
from osbuild_compose.compile.template.filters import emit
from osbuild_compose.distro import catalog
from osbuild_compose.errors import InputError, TemplateError

WANTED = Blueprint(name="web", distro="debian-12", hostname="h")


def compiled(directory: Path, text: str) -> dict[str, Any]:
    (directory / "debian").mkdir(exist_ok=True)
    (directory / "debian/pipeline.yaml.j2").write_text(text)
    found = catalog.find([directory])
    mirrors = found.releases["debian-12"].repositories
    return pipeline.compile_request(BuildRequest(WANTED, (Output(Format.RAW),), found, mirrors))


def test_one_block_is_overridden(tmp_path: Path) -> None:
    text = '{% extends "builtin/debian/pipeline.yaml.j2" %}\n'
    text += "{% block boot %}\n- {name: my.boot, options: {}}\n{{ super() }}{% endblock %}"
    names = [stage["name"] for stage in compiled(tmp_path, text)["stages"]]
    at = names.index("my.boot")
    assert names[at + 1 : at + 3] == ["org.osbuild.fstab", "org.osbuild-compose.grub"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("name: a\nstages:\n- {{ nothing }}\n", 3, "'nothing' is undefined"),
        ("\n{{ blueprint.nothing }}\n", 2, "has no attribute 'nothing'"),
        ("\n\n{% if %}\n", 3, "Expected an expression"),
        (
            '{% extends "builtin/debian/pipeline.yaml.j2" %}\n{% block boot %}\n{{ no.such }}\n{% endblock %}',
            3,
            "'no' is undefined",
        ),
        ("\n{{ 1 / 0 }}\n", 2, "division by zero"),
        ("\n{{ blueprint | pick('nothing') }}\n", 2, "nothing"),
        ("\n{{ blueprint.__class__.__mro__ }}\n", 2, "unsafe"),
        ("\n{{ blueprint.name.__class__ }}\n", 2, "unsafe"),
        ("\n{{ blueprint.name | random }}\n", 2, "No filter named 'random'"),
        ("\n{{ lipsum() }}\n", 2, "'lipsum' is undefined"),
        ("\n{{ blueprint.name.upper }}\n", 2, "cannot be in a pipeline"),
        ("\n{{ image.root_fs_uuid.nope }}\n", 2, "has no attribute 'nope'"),
    ],
)
def test_mistakes_are_reported_with_their_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        compiled(tmp_path, text)
    location = caught.value.location
    assert location is not None
    assert location.file == str(tmp_path / "debian/pipeline.yaml.j2")
    assert location.line == line
    assert location.text.strip() == text.split("\n")[line - 1].strip()
    assert message in caught.value.brief


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{% extends "gone.j2" %}', "there is no template gone.j2"),
        ("name: [\n", "does not make valid YAML"),
        ("name: {{ blueprint.name }} {{ blueprint.name }}\n", "does not make valid YAML"),
        ("- a\n", "makes no pipeline"),
        ("name: a\nstages: 1\n", "makes no pipeline"),
        ("", "makes no pipeline"),
    ],
)
def test_what_is_no_pipeline(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        compiled(tmp_path, text)


def test_values_are_emitted_as_json() -> None:
    assert emit(None) == "null"
    assert emit(True) == "true"
    assert emit({"b": 1, "a": ["é", "\U0001f600"]}) == '{"a": ["\\u00e9", "\\U0001f600"], "b": 1}'
    assert emit(Format.RAW) == '"raw"'
    with pytest.raises(TypeError):
        emit(object())
    with pytest.raises(ValueError, match="not JSON compliant"):
        emit(float("nan"))


def refused(directory: Path, text: str) -> list[tuple[str, str]]:
    with pytest.raises(InputError) as caught:
        compiled(directory, text)
    return [(one.path, one.brief) for one in caught.value.each() if isinstance(one, InputError)]


def test_all_that_is_refused_is_reported(tmp_path: Path) -> None:
    text = '{{ refuse("hostname", "no") }}\n{{ refuse("packages", "none") }}\n{{ refuse("hostname", "no") }}\n'
    expected = [
        ("hostname", "debian-12 does not support `hostname`: no"),
        ("packages", "debian-12 does not support `packages`: none"),
    ]
    assert sorted(refused(tmp_path, text)) == expected


def test_what_fails_after_a_refusal_is_not_reported(tmp_path: Path) -> None:
    text = '{% if blueprint.hostname %}{{ refuse("hostname", "no") }}{% endif %}\n{{ nothing[blueprint.hostname] }}\n'
    assert refused(tmp_path, text) == [("hostname", "debian-12 does not support `hostname`: no")]


def test_a_refusal_is_forgotten_with_its_rendering(tmp_path: Path) -> None:
    text = '{% if blueprint.hostname == "h" %}{{ refuse("hostname", "no") }}{% endif %}\nname: a\nstages: []\n'
    refused(tmp_path, text)
    found = catalog.find([tmp_path])
    mirrors = found.releases["debian-12"].repositories
    other = Blueprint(name="web", distro="debian-12", hostname="other")
    assert pipeline.compile_request(BuildRequest(other, (Output(Format.RAW),), found, mirrors))["stages"] == []
