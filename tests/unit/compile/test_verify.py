"""Stages that do not exist or take no such options are told with the template's line, before any build."""

from pathlib import Path

import pytest

from osbuild_compose.blueprint.formats import Format
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.errors import TemplateError
from osbuild_compose.project import Project

HEAD = '{% extends "builtin/debian/pipeline.yaml.j2" %}\n{% block scripts %}\n'
WANTED = Blueprint(name="web", distro="debian-12", hostname="h")


def mistake(directory: Path, text: str, libdirs: tuple[Path, ...] = ()) -> TemplateError:
    (directory / "debian").mkdir()
    (directory / "debian/pipeline.yaml.j2").write_text(text)
    with pytest.raises(TemplateError) as caught:
        Project([directory], mirror="http://m.example", libdirs=libdirs).image(WANTED, [Format.RAW])
    return caught.value


@pytest.mark.parametrize(
    ("stage", "line", "message", "hint"),
    [
        (
            "- name: org.osbuild.scrip\n  options: {}",
            3,
            "no stage org.osbuild.scrip",
            "did you mean `org.osbuild.script`?",
        ),
        ("- name: org.osbuild.files\n", 3, "no stage org.osbuild.files", "did you mean `org.osbuild-compose.files`?"),
        ("\n- name: x.y", 4, "there is no stage x.y", "`compose stages` lists them"),
        ("- options: {}", 3, "a stage without a name", "a mapping with `name` and `options`"),
        ("- hello", 3, "a stage without a name", "a mapping with `name` and `options`"),
        (
            "- name: org.osbuild.hostname\n  options:\n    hostname: {{ 5 }}",
            5,
            "org.osbuild.hostname: `hostname` must be text, not a number",
            "write it in quotes",
        ),
        (
            "- name: org.osbuild.hostname\n  options: {}",
            4,
            "org.osbuild.hostname: `options` lacks the key `hostname`",
            "for example: hostname: web",
        ),
        (
            "- name: org.osbuild.hostname\n  options:\n    hostname: a\n    hostnam: b",
            6,
            "org.osbuild.hostname: unknown key `hostnam`",
            "did you mean `hostname`?",
        ),
        (
            "- name: org.osbuild.users\n  options:\n    users:\n      a:\n        grops: [b]",
            7,
            "org.osbuild.users: unknown key `grops` (options.users.a.grops)",
            "did you mean `groups`?",
        ),
        (
            "- name: org.osbuild-compose.files\n  options:\n    directories:\n    - path: /a\n      mode: 9z",
            7,
            'org.osbuild-compose.files: `mode`: "9z" does not match',
            "compose stages show",
        ),
        ("- name: org.osbuild.noop\n  option: {}", 4, "unknown key `option`; a stage has `name` and `options`", ""),
    ],
)
def test_mistakes_in_stages(tmp_path: Path, stage: str, line: int, message: str, hint: str) -> None:
    error = mistake(tmp_path, f"{HEAD}{stage}\n{{% endblock %}}\n")
    assert error.location is not None
    assert error.location.file == str(tmp_path / "debian/pipeline.yaml.j2")
    assert error.location.line == line
    assert message in error.brief
    assert hint in error.hint
    assert error.details == ("in the block `scripts`, which begins in line 2",)
    assert error.exit_code == 2


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    error = mistake(
        tmp_path, HEAD + "- name: a.b\n- name: c.d\n{% endblock %}\n{% block image %}\n  name: e\n{% endblock %}"
    )
    assert [item.brief for item in error.each()] == [
        "there is no stage a.b",
        "there is no stage c.d",
        "there is no assembler e",
    ]
    assert [item.location.line for item in error.each() if item.location] == [3, 4, 7]


@pytest.mark.parametrize(
    ("stage", "line"),
    [
        ("- name: a\n  options: {b: [}", 4),
        ("- name: {{ blueprint.name }} {{ blueprint.name }}", 3),
        ("- name: a\n  {{ blueprint.name }}x: {}", 4),
    ],
)
def test_bad_yaml_is_reported_with_the_line_that_made_it(tmp_path: Path, stage: str, line: int) -> None:
    error = mistake(tmp_path, f"{HEAD}{stage}\n{{% endblock %}}\n")
    assert "does not make valid YAML" in error.brief
    assert error.location is not None
    assert (error.location.file, error.location.line) == (str(tmp_path / "debian/pipeline.yaml.j2"), line)
    assert error.details[0] == "in the block `scripts`, which begins in line 2"
    assert "line " in error.details[1]
    assert "{{ a ~ b }}" in error.hint


@pytest.mark.parametrize(
    ("expression", "hint"),
    [
        ("{{ blueprnt.name }}", "did you mean `blueprint`?"),
        ("{{ blueprint.hostnam }}", "did you mean `hostname`?"),
        ("{{ image.filenam }}", "did you mean `filename`?"),
        ('{% include "debian/pipelne.yaml.j2" %}', "did you mean `debian/pipeline.yaml.j2`?"),
    ],
)
def test_the_nearest_name_is_reported(tmp_path: Path, expression: str, hint: str) -> None:
    error = mistake(tmp_path, f"{HEAD}{expression}\n{{% endblock %}}\n")
    assert error.hint == hint
    assert error.location is not None
    assert error.location.line == 3


def test_stages_of_ones_own_are_known(tmp_path: Path) -> None:
    (tmp_path / "lib/stages").mkdir(parents=True)
    (tmp_path / "lib/stages/my.stage.meta.json").write_text('{"schema": {"required": ["a"]}}')
    error = mistake(tmp_path, HEAD + "- name: my.stage\n{% endblock %}\n", (tmp_path / "lib",))
    assert "my.stage: `options` lacks the key `a`" in error.brief


SCHEMA = """{"properties": {"any": true, "none": false,
"pair": {"type": "array", "minItems": 2}, "text": {"type": "string"},
"one": {"anyOf": [{"type": "integer"}, {"properties": {"deep": {"enum": ["x"]}}, "type": "object"}]},
"two": {"dependencies": {"a": {"required": ["b"]}}}}, "additionalProperties": false}"""


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ("{pair: [1]}", "my.stage: `pair` must have at least 2 items", "compose stages show my.stage"),
        ("{text: null}", "my.stage: `text` must be text, not empty", "remove the key"),
        ("{none: 1}", "my.stage: False schema does not allow 1", ""),
        ("{one: {deep: y}}", 'my.stage: `deep` cannot be "y"; it is one of: x (options.one.deep)', ""),
        ("{two: {a: 1}}", "my.stage: `two` lacks the key `b` (options.two.b)", ""),
        ("{ani: 1}", "my.stage: unknown key `ani`", "did you mean `any`?"),
    ],
)
def test_schemas_of_others(tmp_path: Path, options: str, message: str, hint: str) -> None:
    (tmp_path / "lib/stages").mkdir(parents=True)
    (tmp_path / "lib/stages/my.stage.meta.json").write_text(f'{{"schema": {SCHEMA}}}')
    text = HEAD + f"- name: my.stage\n  options: {options}\n{{% endblock %}}\n"
    error = mistake(tmp_path, text, (tmp_path / "lib",))
    assert error.brief == message
    assert hint in error.hint
