"""Any blueprint is valid or reported as wrong, in bounded time and memory."""

import json
import random
from typing import Any

import pytest
from ruamel.yaml import YAML

from osbuild_compose.document.schema import schema_files
from osbuild_compose.project import Project
from tests import bad_blueprints
from tests.conftest import REPO
from tests.fuzz import harness

FILES = [*REPO.glob("blueprints/*.yaml"), *REPO.glob("docs/**/*.yaml"), *bad_blueprints.DIRECTORY.glob("*.yaml")]
CORPUS = [path.read_bytes() for path in sorted(FILES)]
SAMPLES = [YAML(typ="safe", pure=True).load(path) for path in sorted(REPO.glob("blueprints/*.yaml"))]
SCHEMA = schema_files.published("blueprint")
DISTROS = ("debian-12", "debian-13", "fedora-43", "centos-10", "rocky-9")


@pytest.fixture(scope="module")
def project() -> Project:
    made = Project()
    assert made.catalog
    return made


def render(raw: bytes, project: Project) -> None:
    with harness.scratch(raw, "fuzz.yaml") as path:
        project.images([path], ())


def test_mutated_text(project: Project) -> None:
    harness.try_each(
        60, lambda source: harness.cut(source.choice(CORPUS), CORPUS, source), lambda raw: render(raw, project)
    )


def mutated_sample(source: random.Random) -> bytes:
    data = harness.mutated(source.choice(SAMPLES), source, source.choice((0.01, 0.05, 0.2)))
    return json.dumps(data, ensure_ascii=False, default=str).encode(errors="replace")


def test_mutated_values(project: Project) -> None:
    harness.try_each(60, mutated_sample, lambda raw: render(raw, project))


def from_schema(node: dict[str, Any], source: random.Random, depth: int = 0) -> object:
    """A value that a part of the schema allows, more or less, and now and then another one."""
    if depth > 6 or source.random() < 0.1:
        return harness.odd(source)
    if node.get("$ref") == "#":
        return from_schema(SCHEMA, source, depth + 2)
    if "$ref" in node:
        return from_schema(SCHEMA["definitions"][node["$ref"].rpartition("/")[2]], source, depth)
    choices: list[object] = [*node.get("enum", ()), *node.get("examples", ())]
    if "items" in node:
        choices.append([from_schema(node["items"], source, depth + 1) for _ in range(source.randrange(4))])
    if "properties" in node:
        names = source.sample(sorted(node["properties"]), min(len(node["properties"]), source.randrange(1, 5)))
        names += [name for name in node.get("required", ()) if source.random() < 0.95]
        choices.append({name: from_schema(node["properties"].get(name, {}), source, depth + 1) for name in names})
    choices += [from_schema(node[branch], source, depth + 1) for branch in ("then", "else") if branch in node]
    if isinstance(other := node.get("additionalProperties"), dict):
        choices.append({source.choice(("a", "net.x", "b c")): from_schema(other, source, depth + 1)})
    if node.get("type") == "integer":
        choices.append(source.choice((0, 1, 22, 1000, 65536, -5, 2**40)))
    if node.get("type") == "boolean":
        choices.append(source.random() < 0.5)
    return source.choice(choices) if choices else harness.odd(source)


def made_from_schema(source: random.Random) -> bytes:
    keys = source.sample(sorted(SCHEMA["properties"]), source.randrange(1, 6))
    data = {key: from_schema(SCHEMA["properties"][key], source, 1) for key in keys}
    if source.random() < 0.95:
        data |= {"name": "web", "distro": source.choice(DISTROS)}
    return json.dumps(data, ensure_ascii=False).encode(errors="replace")


def test_values_from_the_schema(project: Project) -> None:
    harness.try_each(100, made_from_schema, lambda raw: render(raw, project))


def test_settings_and_variables() -> None:
    """--set, --var and --profile with odd texts."""
    text = "name: web\ndistro: debian-12\nvars: {a: x}\nusers: [{name: u}]\nprofiles: {p: {packages: [vim]}}\n"
    keys = (
        "disk.size",
        "users.u.shell",
        "users.0.uid",
        "packages",
        "name",
        "files[/x].mode",
        "vars.a",
        "",
        "a..b",
        "[",
    )

    def make(source: random.Random) -> bytes:
        value = source.choice((str(harness.odd(source)), json.dumps(harness.odd(source))))
        return f"{source.choice(keys)}={value}".encode(errors="replace")

    def run(raw: bytes) -> None:
        word = raw.decode(errors="surrogateescape")
        for option in ({"settings": [word]}, {"variables": [word]}, {"profiles": [word]}, {"repos": [word]}):
            harness.survives(lambda: Project(**option).load_text(text))  # noqa: B023 - called at once

    harness.try_each(40, make, run)


N = 4000
ITEMS: dict[str, Any] = {
    "packages": [f"p{i}" for i in range(N)],
    "users": [{"name": f"u{i}", "groups": [f"g{i}"]} for i in range(N)],
    "groups": [{"name": f"g{i}"} for i in range(N)],
    "files": [{"path": f"/f{i}", "content": "x"} for i in range(N)],
    "directories": [{"path": f"/d{i}"} for i in range(N)],
    "symlinks": [{"path": f"/l{i}", "target": "/x"} for i in range(N)],
    "services": {"enabled": [f"s{i}" for i in range(N)], "masked": [f"s{i}" for i in range(N)]},
    "disk": {"partitions": [{"mount": f"/m{i}", "size": "1 GiB"} for i in range(N)]},
    "repositories": [{"id": f"r{i}", "baseurl": "http://x/"} for i in range(N)],
    "firewall": {"ports": [f"{i + 1}:tcp" for i in range(N)]},
    "kernel": {"append": " ".join(f"a{i}=1" for i in range(N))},
    "modprobe": {"blacklist": [f"m{i}" for i in range(N)]},
    "sysctl": {f"net.x{i}": 1 for i in range(N)},
    "enabled_modules": [{"name": f"m{i}", "stream": "1"} for i in range(N)],
    "vars": {f"v{i}": "x" for i in range(N)},
    "unknown": {f"k{i}": 1 for i in range(N)},
}


@pytest.mark.parametrize("key", ITEMS)
def test_four_thousand_of_each(key: str, project: Project) -> None:
    data = {"name": "web", "distro": "debian-12", key: ITEMS[key]}
    with harness.watched():
        harness.survives(lambda: project.image(project.load_text(json.dumps(data))))


REGRESSIONS = {
    "a distro that is a variable's beginning": "name: web\ndistro: '$${'\n",
    "variables that expand": "name: web\ndistro: debian-12\nvars: {a: "
    + "x" * 10**6
    + "}\nhostname: '"
    + "${a}" * 10**4
    + "'",
    "aliases of text": "name: web\ndistro: debian-12\nhostname: &a "
    + "x" * 10**6
    + "\npackages: ["
    + "*a," * 4000
    + "]",
    "a billion laughs": "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30)),
    "merge keys": "a0: &a0 {a: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 30)),
    "levels": "a: " + "[" * 5000,
}


@pytest.mark.parametrize("name", REGRESSIONS)
def test_regressions(name: str, project: Project) -> None:
    with harness.watched():
        harness.survives(lambda: project.image(project.load_text(REGRESSIONS[name])))


def test_an_emoji_as_json_writes_it(project: Project) -> None:
    data = {"name": "web", "distro": "debian-12", "files": [{"path": "/x", "content": "\U0001f600"}]}
    assert "\U0001f600" in project.image(project.load_text(json.dumps(data))).pipeline.decode()
