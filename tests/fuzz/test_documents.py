"""For any bytes, a blueprint is either valid or reported as wrong with exit status 2."""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from osbuild_compose.document.schema import schema_files
from osbuild_compose.errors import ComposeError, ExitCode
from osbuild_compose.project import Project
from osbuild_compose.report import error_text as report
from osbuild_compose.report.style import Style
from tests import bad_blueprints
from tests.conftest import REPO
from tests.fuzz import harness

CORPUS = [path.read_bytes() for path in (*REPO.glob("blueprints/*.yaml"), *bad_blueprints.DIRECTORY.glob("*.yaml"))]
BLUEPRINT = schema_files.published("blueprint")

# The same examples every time, so that what a change breaks is what it broke; COMPOSE_FUZZ=5000 tries that many others.
EXAMPLES = int(os.environ.get("COMPOSE_FUZZ", "0"))
fuzzing = settings(
    deadline=None,
    derandomize=not EXAMPLES,
    max_examples=EXAMPLES or 100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def project() -> Project:
    shop = Project()
    assert shop.catalog
    return shop


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "base.yaml").write_text("distro: debian-12\npackages: [nginx]\nusers: [{name: admin}]\n")
        yield Path(name)


def survives(raw: bytes, project: Project, directory: Path) -> None:
    path = directory / "fuzz.yaml"
    path.write_bytes(raw)
    try:
        project.images([path], ())
    except ComposeError as error:
        reported = error
    else:
        return
    assert reported.exit_code is ExitCode.INPUT_WRONG
    for one in reported.each():
        text = report.text(one, Style(color=False))
        assert one.brief
        assert all(character.isprintable() or character in "\n\t" for character in text)
        text.encode()
        json.dumps(report.as_data(one))
        if one.location and one.location.line:
            assert one.location.column >= 1
            assert one.location.file in {str(path), str(directory / "base.yaml")}


@fuzzing
@given(raw=st.binary(max_size=400))
@example(raw=b"a: 1e999\n")
@example(raw=b"a: !!int x\n")
@example(raw=b"a: !!float x\n")
@example(raw=b"a: !!bool maybe\n")
@example(raw=b"a: !!null x\n")
@example(raw=b"a: 2020-13-45\n")
@example(raw=b'name: "\\ud800"\n')
@example(raw=b'"\\ud800": 1\n')
@example(raw=b"? - a\n: b\n")
@example(raw=b"&a name: *a\n")
@example(raw=b"%YAML 1.1\n---\nname: no\n")
@example(raw=b"%TAG ! tag:x,2000:\n---\nname: !a b\n")
@example(raw=b"%YAML 9.9\n---\na: b\n")
@example(raw=b"extends: [fuzz.yaml]\n")
@example(raw=b'extends: "a\\0b"\n')
@example(raw=b'extends: "\\ud800"\n')
@example(raw=b"vars: {a: 1}\nname: ${a}\n")
@example(raw=b"a: -0x_\n")
@example(raw=b"a: 0b\n")
@example(raw=b"a: 0o9\n")
@example(raw=b"a: 1_0.0_e3\n")
@example(raw=b"a: " + b"1" * 5000 + b"\n")
@example(raw=b"a: 1e" + b"1" * 5000 + b"\n")
@example(raw=b"a: 0x" + b"f" * 5000 + b"\n")
@example(raw=b"\xef\xbb\xbf\xef\xbb\xbfname: a\n")
@example(raw=b"\xff\xfe")
@example(raw=b"\r\r\r:\r")
@example(raw="a: \u2028\u2029\x85 b\n".encode())
def test_any_bytes(raw: bytes, project: Project, directory: Path) -> None:
    survives(raw, project, directory)


TOKENS = (*harness.TOKENS, b"no", b"0", b"\r")


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A blueprint in which pieces are replaced, removed, doubled or taken from another one."""
    raw = draw(st.sampled_from(CORPUS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(raw)))
        end = min(len(raw), start + draw(st.integers(0, 12)))
        other = draw(st.sampled_from(CORPUS))
        cut = draw(st.integers(0, len(other)))
        pieces = [b"", raw[start:end] * 2, other[cut : cut + 30]]
        piece = draw(st.sampled_from(pieces) | st.sampled_from(TOKENS) | st.binary(max_size=3))
        raw = raw[:start] + piece + raw[end:]
    return raw


@fuzzing
@given(raw=mutated())
def test_mutated_blueprints(raw: bytes, project: Project, directory: Path) -> None:
    survives(raw, project, directory)


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["${a}", "${b}", "$${a}", "${", "no", "/", "..", "-", "4 GiB", "base.yaml", "\n"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)


def strategy(node: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that a part of the schema allows, more or less, and now and then others."""
    if depth > 6:
        return junk
    if node.get("$ref") == "#":
        return strategy(BLUEPRINT, depth + 2)
    if "$ref" in node:
        return strategy(BLUEPRINT["definitions"][node["$ref"].rpartition("/")[2]], depth)
    choices: list[st.SearchStrategy[Any]] = []
    if "enum" in node:
        choices.append(st.sampled_from(node["enum"]))
    if "examples" in node:
        choices.append(st.sampled_from(node["examples"]))
    if "items" in node:
        items = st.lists(strategy(node["items"], depth + 1), max_size=3)
        choices += [items, st.fixed_dictionaries({}, optional=dict.fromkeys(("append", "remove", "replace"), items))]
    if "properties" in node:
        optional = {key: strategy(value, depth + 1) for key, value in node["properties"].items()}
        choices.append(st.fixed_dictionaries({}, optional=optional) if depth else st.just({}))
    for branch in ("then", "else"):
        if branch in node:
            choices.append(strategy(node[branch], depth + 1))
    for other in (*node.get("patternProperties", {}).values(), node.get("additionalProperties")):
        if isinstance(other, dict):
            names = st.sampled_from(["a", "dev", "net.ipv4.ip_forward"]) | st.text(max_size=4)
            choices.append(st.dictionaries(names, strategy(other, depth + 1), max_size=2))
    if node.get("type") == "integer":
        choices.append(st.integers(-2, 70000))
    if not choices:
        return junk
    good = st.one_of(choices)
    return st.one_of(*[good] * 7, junk)


KEYS = {key: strategy(value, 1) for key, value in BLUEPRINT["properties"].items()}


@st.composite
def documents(draw: st.DrawFn) -> Any:
    """A few keys of a blueprint, the required ones mostly right."""
    chosen = draw(st.lists(st.sampled_from(sorted(KEYS)), max_size=6, unique=True))
    found = {key: draw(KEYS[key]) for key in chosen}
    if draw(st.integers(0, 9)):
        found |= {"name": "web", "distro": draw(st.sampled_from(["debian-12", "debian-13", "fedora-43", "centos-10"]))}
    if draw(st.integers(0, 3)) == 0:
        found["extends"] = "base.yaml"
    return found


@fuzzing
@given(data=documents())
@example(data={"disk": {"size": None}})
@example(data={"disk": {"partitions": [{"start": [1]}], "size": "4 GiB"}})
def test_documents_made_from_the_schema(data: Any, project: Project, directory: Path) -> None:
    survives(json.dumps(data, ensure_ascii=False).encode(errors="surrogatepass"), project, directory)
