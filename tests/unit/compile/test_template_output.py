"""Reading the YAML that templates render: always what a YAML reader alone makes of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from osbuild_compose.compile.template import output
from osbuild_compose.compile.template.filters import emit


def as_yaml(text: str) -> Any:
    """The data, or the error."""
    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, TypeError) as error:
        return str(error)


def loaded(text: str) -> Any:
    try:
        return output.load(text)
    except (YAMLError, ValueError, TypeError) as error:
        return str(error)


@pytest.mark.parametrize(
    "text",
    [
        'a: "b"\nc: ["d", {"e": 1}]\n',
        'a: "b" c\n',
        'a: "b"c\n',
        'a: "b"\n  c\n',
        'a: ["b"]: "c"\n',
        '- "a": 1\n',
        '- "a": "b"\n- "c"\n',
        '{a: "b", "c": "d", "c": "e"}\n',
        'a: {"b": 1, "b": 2}\n',
        'a: "one": "two"\n',
        "a: 'x: \"y\"'\n",
        'a: "x: \\"y\\""\n',
        'a: |\n  b: "c"\n  - ["d"]\n',
        'a: >\n  b: "c"\n  - ["d"]\n',
        'a: # b: "c\n  d: "e"\n',
        'a: plain, "b" - "c"\n',
        'a: {"b":1}\n',
        'a: "\\ud83d\\ude00"\n',
        'a: "\\u00e9 \\n \\/"\n',
        "a: 1.0\nb: [1.5, 1e3, -0, true, null]\n",
        '<<: {"a": 1}\nb: 2\n',
        'a: &x ["b"]\nc: *x\nd: [&y "e", *y]\n',
        'a: !!str "b"\nc: !x ["d"]\n',
        'a: "b\n  c"\nd: "e: "f" g"\n',
        "a: \ue0000\ue000\n",
        'a: "\ue000"\nb: "c"\n',
        'a: "b\x7f"\n',
        'a: ["b",\n  "c"]\n',
        'a: {"b": "c"',
        "",
    ],
)
def test_it_reads_what_a_yaml_reader_reads(text: str) -> None:
    assert loaded(text) == as_yaml(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
pieces = st.sampled_from(
    [": ", "- ", "\n", "\n  ", "a", "b: ", '"', "'", "[", "]", "{", "}", ", ", "# ", "|\n  ", "& "]
)


@given(st.lists(pieces | json_values.map(lambda value: str(emit(value))), max_size=12).map("".join))
def test_it_reads_any_text_as_a_yaml_reader_does(text: str) -> None:
    assert loaded(text) == as_yaml(text)


@given(json_values)
def test_values_survive(value: Any) -> None:
    assert json.dumps(loaded(f"a: {emit(value)}\n")) == json.dumps(as_yaml(f"a: {emit(value)}\n"))
