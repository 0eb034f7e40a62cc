"""Errors of files that are not valid YAML: the first syntax error, at the position where it begins."""

import time
from pathlib import Path

import pytest

from osbuild_compose.blueprint import load
from osbuild_compose.document import reader
from osbuild_compose.errors import InputError
from osbuild_compose.project import Project

HEAD = "name: web\ndistro: debian-12\n"


def reported(tmp_path: Path, text: str) -> list[tuple[int, str]]:
    path = tmp_path / "web.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load.load(path, ["debian-12"])
    return [(one.location.line, one.brief) for one in caught.value.each() if one.location]


def test_only_the_syntax_error_is_reported(tmp_path: Path) -> None:
    found = reported(
        tmp_path, HEAD + 'hostname: a: b\npakages: [nginx]\nusers:\n  - name: a\n   uid: 1\nlocale: "\\q"\n'
    )
    assert found == [(3, "not valid YAML: mapping values are not allowed here")]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('description: "one\npackages: [nginx]\nhostname: "web"\n', 3),
        ("description: 'one\nhostname: 'web'\n", 3),
        ('hostname: web\ndescription: "one\nhostname "web"\nlocale: "\\q"\n', 4),
        ('description: "one\nhostname: web\n', 3),
    ],
)
def test_the_quote_that_is_open_is_reported_and_not_the_next_one(tmp_path: Path, text: str, line: int) -> None:
    assert reported(tmp_path, HEAD + text) == [(line, "not valid YAML: a quote is not closed")]


@pytest.mark.parametrize("text", ['packages: ["a\n  b", "c" "d"]\n', 'description: "one" "two"\n'])
def test_closed_quotes_are_not_blamed(tmp_path: Path, text: str) -> None:
    found = reported(tmp_path, HEAD + text)
    assert len(found) == 1
    assert "quote" not in found[0][1]


@pytest.mark.parametrize(
    "several_lines",
    [
        'description: "one\ntwo: three\nfour"\n',
        "vars: {\na: x,\nb: y\n}\n",
        "packages: [\nnginx,\ncurl\n]\n",
        "files:\n- path: /a\n  content: |\n    b: c\n\n    d\n",
        "users: &a [{name: me}]\n",
    ],
)
def test_values_of_several_lines_before_the_error(tmp_path: Path, several_lines: str) -> None:
    found = reported(tmp_path, HEAD + several_lines + "hostname: a: b\n")
    assert found == [(2 + several_lines.count("\n") + 1, "not valid YAML: mapping values are not allowed here")]


def test_all_duplicate_keys_and_unknown_tags_are_reported(tmp_path: Path) -> None:
    found = reported(tmp_path, HEAD + "hostname: !x 5\nlocale: C\nlocale: C\npakages: []\n")
    assert [line for line, _ in found] == [3, 5]


def test_a_syntax_error_in_a_base_does_not_hide_the_blueprints_own_errors(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("users: [{name: a}\ntimezone: 5\n")
    found = reported(tmp_path, HEAD + "extends: base.yaml\npakages: []\n")
    assert found == [(1, "not valid YAML: expected ',' or ']', but got '<scalar>'"), (4, "unknown key `pakages`")]


def test_text_that_is_not_indented(tmp_path: Path) -> None:
    head = HEAD + "files:\n  - path: /a\n    content: |\n"
    assert reported(tmp_path, head + "hello\nkey: value\nmore: [\n") == [(6, "not valid YAML: missing colon")]
    assert reported(tmp_path, HEAD + "description: >-  # text\nkey: value\noops\n") == [
        (5, "not valid YAML: missing colon")
    ]
    assert reported(tmp_path, HEAD + "description: |\nkey: *gone\n") == [
        (4, "not valid YAML: found undefined alias 'gone'")
    ]
    assert reported(tmp_path, HEAD + "one line\nanother line\npakages: []\nthird line\n") == [
        (3, "not valid YAML: missing colon")
    ]


def test_two_documents_are_one_error(tmp_path: Path) -> None:
    assert reported(tmp_path, HEAD + "---\nfoo: bar\nhostname: a: b\n") == [
        (3, "not valid YAML: the file holds a second document")
    ]


def test_many_errors_take_no_long_time() -> None:
    keys = [f'key{number}: "{"x" * 500}\n' for number in range(100)]
    begun = time.monotonic()
    with pytest.raises(InputError) as caught:
        reader.parse("".join(keys).encode(), "web.yaml")
    assert time.monotonic() - begun < 10
    assert caught.value.each()


def test_errors_of_several_blueprints_are_reported_together(tmp_path: Path) -> None:
    refused = "selinux: enforcing\nsshd: {port: [22]}\n"  # on Debian, the second one without a server
    for name, text in (("a", "timezone: 5\n"), ("b", refused), ("c", "hostname: fine\n")):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\ndistro: debian-12\n{text}")
    with pytest.raises(InputError) as caught:
        Project().images([tmp_path / f"{name}.yaml" for name in "abc"], ())
    assert [error.path for error in caught.value.each()] == ["timezone", "selinux", "sshd"]
