"""Any pipeline is loaded or refused as wrong input."""

import json
import random

from runner.errors import ErrorKind, RunnerError
from runner.manifest import formats
from runner.manifest.document import decode
from runner.sources.fetch import read_secrets
from tests.fuzz import harness

SHA = "sha256:" + "a" * 64
SAMPLE = {
    "pipeline": {
        "name": "tree",
        "build": {"pipeline": {"stages": [{"name": "org.osbuild.noop"}]}, "runner": "org.osbuild.linux"},
        "stages": [
            {"name": "org.osbuild-compose.files", "options": {"files": [{"path": "/x", "content": "y"}], "a": 1.5}},
            {"name": "org.osbuild.users", "options": {"users": {"a": {"uid": 1, "groups": ["b"], "key": None}}}},
        ],
        "assembler": {"name": "org.osbuild.tar", "options": {"filename": "x.tar"}},
    },
    "sources": {
        "org.osbuild.files": {"urls": {SHA: "https://example.org/x"}},
        "org.osbuild.inline": {"items": {SHA: {"encoding": "base64", "data": "YQ=="}}},
        "org.osbuild.skopeo": {"items": {SHA: {"image": {"name": "quay.io/a/b", "digest": SHA}}}},
    },
}
TOKENS = ("NaN", "1e999", "-Infinity", "1" * 5000, '"\\ud800"', '"\\u0000"', "[" * 300, '{"a":' * 3000, '{"b":1,"b":2}')


def make(source: random.Random) -> bytes:
    if source.random() < 0.5:
        data = harness.mutated(SAMPLE, source, source.choice((0.02, 0.1, 0.3)))
        text = json.dumps(data).encode()
    else:
        text = harness.cut(json.dumps(SAMPLE).encode(), [json.dumps(SAMPLE["sources"]).encode()], source)
    if source.random() < 0.3:
        at = source.randint(0, len(text))
        text = text[:at] + source.choice(TOKENS).encode() + text[at:]
    return text


def run(raw: bytes) -> None:
    try:
        document = decode(raw, "fuzz.json")
        manifest = formats.load(document)
        manifest.needed()
        json.dumps(formats.describe(manifest)).encode()
    except RunnerError as error:
        check_error(error)
        return
    for other in ({"build_env": document}, {"sources": document}):
        try:
            formats.load({}, **other)
        except RunnerError as error:
            check_error(error)


def check_error(error: RunnerError) -> None:
    assert error.kind is ErrorKind.INPUT
    assert error.message
    assert len(error.message) < 5000
    json.dumps(error.fields()).encode()


def test_pipelines() -> None:
    harness.try_each(300, make, run)


def test_secrets() -> None:
    sample = {"org.osbuild-compose.passphrases": {"a": "b"}, "org.osbuild.rhsm": {"ca": "c"}}

    def run_secrets(raw: bytes) -> None:
        try:
            read_secrets(decode(raw, "secrets.json"))
        except RunnerError as error:
            check_error(error)

    harness.try_each(100, lambda source: json.dumps(harness.mutated(sample, source, 0.2)).encode(), run_secrets)
