"""Of a file that is not YAML all that can be told is told, and nothing that only follows from it."""

import time
from pathlib import Path

import pytest

from osbuild_compose.blueprint import load
from osbuild_compose.document import reader, recovery
from osbuild_compose.errors import DocumentError, InputError

HEAD = "name: web\ndistro: debian-12\n"


def told(tmp_path: Path, text: str) -> list[tuple[int, str]]:
    path = tmp_path / "web.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load.load(path, ["debian-12"])
    return [(one.location.line, one.brief) for one in caught.value.each() if one.location]


def test_independent_mistakes_are_all_told(tmp_path: Path) -> None:
    found = told(tmp_path, HEAD + 'hostname: a: b\npakages: [nginx]\nusers:\n  - name: a\n   uid: 1\nlocale: "\\q"\n')
    assert [line for line, _ in found] == [3, 4, 7, 8]
    assert found[1][1] == "unknown key `pakages`"


def test_the_quote_that_is_open_is_told_and_not_the_next_one(tmp_path: Path) -> None:
    found = told(tmp_path, HEAD + 'description: "one\npackages: [nginx]\nhostname: "web"\n')
    assert found == [(3, "not valid YAML: a quote is not closed")]


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
def test_what_goes_over_lines_is_not_taken_apart(tmp_path: Path, several_lines: str) -> None:
    found = told(tmp_path, HEAD + several_lines + "hostname: a: b\n")
    assert found == [(2 + several_lines.count("\n") + 1, "not valid YAML: mapping values are not allowed here")]


def test_nothing_follows_from_keys_that_cannot_be_read(tmp_path: Path) -> None:
    """Neither that a required key lacks, nor that an alias has no anchor, nor what a variable stands for."""
    assert told(tmp_path, "name: a: b\ndistro: c: d\nhostname: x\n") == [
        (1, "not valid YAML: mapping values are not allowed here"),
        (2, "not valid YAML: mapping values are not allowed here"),
    ]
    assert told(tmp_path, HEAD + "packages: &p [a: b: c]\nexclude: *p\n")[0][0] == 3
    assert len(told(tmp_path, HEAD + "packages: &p [a: b: c]\nexclude: *p\n")) == 1
    assert told(tmp_path, "name: web\ndistro: ${release}\nvars: {release: debian-12\n") == [
        (3, "not valid YAML: expected ',' or '}', but got ':'")
    ]


def test_doubled_keys_and_tags_do_not_hide_the_rest(tmp_path: Path) -> None:
    found = told(tmp_path, HEAD + "hostname: !x 5\nlocale: C\nlocale: C\npakages: []\n")
    assert [line for line, _ in found] == [3, 5, 6]


def test_the_rest_of_what_is_extended_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("users: [{name: a}\ntimezone: 5\n")
    found = told(tmp_path, HEAD + "extends: base.yaml\npakages: []\n")
    assert [line for line, _ in found] == [1, 2, 4]
    assert found[1:] == [(2, "`timezone` must be text, not a number"), (4, "unknown key `pakages`")]


def test_text_that_is_not_indented_is_one_mistake(tmp_path: Path) -> None:
    text = "hello\nkey: value\nmore: [\nthe end\npakages: a\n"
    head = HEAD + "nmae: x\nfiles:\n  - path: /a\n    content: |\n"
    assert told(tmp_path, head + text) == [
        (3, "unknown key `nmae`"),
        (7, "not valid YAML: a line lacks its colon"),
    ]
    assert told(tmp_path, HEAD + "description: >-  # text\nkey: value\noops\n") == [
        (5, "not valid YAML: a line lacks its colon")
    ]
    assert told(tmp_path, HEAD + "description: |\nkey: *gone\n") == [
        (4, "not valid YAML: found undefined alias 'gone'")
    ]
    assert told(tmp_path, HEAD + "one line\nanother line\npakages: []\nthird line\n") == [
        (3, "not valid YAML: a line lacks its colon"),
        (5, "unknown key `pakages`"),
        (6, "not valid YAML: a line lacks its colon"),
    ]


def test_two_documents_are_one_mistake(tmp_path: Path) -> None:
    assert told(tmp_path, HEAD + "---\nfoo: bar\nhostname: a: b\n") == [
        (3, "not valid YAML: the file holds a second document")
    ]


def test_many_mistakes_take_no_long_time() -> None:
    keys = [f'key{number}: "{"x" * 500}\n' for number in range(recovery.MAX_PARTS)]
    begun = time.monotonic()
    with pytest.raises(DocumentError) as caught:
        reader.parse("".join(keys).encode(), "web.yaml")
    assert time.monotonic() - begun < 10
    assert caught.value.each()
