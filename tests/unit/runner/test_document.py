"""Documents are read strictly: what no program can take is an error that names its path."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.errors import ErrorKind, RunnerError
from runner.manifest import formats
from runner.manifest.document import MAX_DEPTH, decode, open_file
from runner.option_checks import _long_names

VALUES = {
    "a number of 5,000 digits": ("1" * 5000, "a", "does not fit into 64 bits"),
    "a negative one": ("-" + "1" * 5000, "a", "does not fit into 64 bits"),
    "one above 64 bits": (str(2**64), "a", "does not fit into 64 bits"),
    "a huge float": ("1e999", "a", "too large"),
    "NaN": ("NaN", "a", "NaN is not a number of JSON"),
    "infinity": ("-Infinity", "a", "-Infinity is not a number of JSON"),
    "NUL": ('"x\\u0000"', "a", "NUL"),
    "NUL in a key": ('{"\\u0000": 1}', "a.\0", "NUL"),
    "half a character": ('"\\ud800"', "a", "surrogate"),
    "half a character as a key": ('{"\\udfff": 1}', "a.\udfff", "surrogate"),
    "a key twice": ('{"b": 1, "c": 2, "b": 3}', "a.b", "given twice"),
}


def refused(text: str) -> str:
    with pytest.raises(RunnerError) as caught:
        decode(text)
    assert caught.value.kind is ErrorKind.INPUT
    return caught.value.message


@pytest.mark.parametrize("name", VALUES)
def test_values_that_no_program_can_take(name: str) -> None:
    text, path, reason = VALUES[name]
    message = refused(f'{{"stages": [{{"name": "x"}}, {{"options": {{"z": 0, "a": {text}}}}}]}}')
    assert message.startswith(f"stages[1].options.{path}: ")
    assert reason in message


@pytest.mark.parametrize("depth", [MAX_DEPTH, 500, 990, 5000, 10000])
@pytest.mark.parametrize(("begin", "end", "step"), [("[", "]", "[0]"), ('{"x":', "}", ".x")])
def test_nesting(depth: int, begin: str, end: str, step: str) -> None:
    message = refused(f'{{"b": [1, {{"c": "]]"}}], "a\\"": [2, {begin * depth}0{end * depth}]}}')
    assert message.startswith(('a"[1]' + step, 'a\\"[1]' + step))
    assert message.endswith(f"nested deeper than {MAX_DEPTH} levels")
    assert len(message) < 400


def test_what_is_allowed() -> None:
    document = {"a": 2**64 - 1, "b": [-1.5e300, None], "content": "\0", "c": "\u20ac\U0001f600"}
    assert decode(json.dumps(document).encode()) == document
    deep = "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert decode(deep) == json.loads(deep)


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"stages": [{"name": "a" * 300}]}, "stages[0].name"),
        ({"assembler": {"name": "\u00e4" * 200}}, "assembler.name"),
        ({"name": "a" * 300}, "name"),
        ({"build": {"pipeline": {"stages": [{"name": "a" * 300}]}}}, "build.pipeline.stages[0].name"),
        ({"pipeline": {}, "sources": {"org.osbuild.files": {"urls": {"x" * 5000: ""}}}}, "sources.org.osbuild.files"),
    ],
)
def test_long_names(document: object, path: str) -> None:
    with pytest.raises(RunnerError) as caught:
        formats.load(document)
    assert caught.value.kind is ErrorKind.INPUT
    assert caught.value.message.startswith(path)
    assert len(caught.value.message) < 400


def test_names_of_files_fit_into_a_file_system() -> None:
    options = {"filename": "a" * 256, "files": [{"path": "/" + "\u00e4" * 128}, {"path": "/a" * 2100, "x": "a" * 300}]}
    assert [text.partition(":")[0] for text in _long_names(options, "options")] == [
        "options.filename",
        "options.files[0].path",
        "options.files[1].path",
    ]
    assert not list(_long_names({"filename": "a" * 255, "path": "/a" * 2000, "content": "a" * 9999}, "options"))


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_document(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "pipeline.json")
    with pytest.raises(OSError, match=r"FIFO|directory"):
        open_file(str(tmp_path / "pipeline.json"))
