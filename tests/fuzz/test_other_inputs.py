"""Templates, blueprints of others and command lines: any input is used or reported as wrong."""

import contextlib
import io
import json
import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from osbuild_compose import cli
from osbuild_compose.project import Project
from tests.conftest import REPO
from tests.fuzz import harness

TEMPLATES = [path.read_bytes() for path in sorted(REPO.glob("templates/*/*.j2"))]
DISTROS = [path.read_bytes() for path in sorted(REPO.glob("templates/*/distro.yaml"))]
PIECES = (
    "{{ blueprint }}",
    "{{ 'x' * 10**9 }}",
    "{{ x }}",
    "{% for a in blueprint.packages %}",
    "{% endfor %}",
    "{% block packages %}",
    "{% endblock %}",
    "{{ refuse('packages', 'no') }}",
    "{{ release | tojson }}",
    "{% set x = 1 %}",
    "{{ 1 // 0 }}",
    "- name: org.osbuild.noop\n",
    "stages:\n",
    "  options: {a: 2020-01-01}\n",
    "{{ [1, 2] | batch(0) | list }}",
    "{{ 'a' | indent(-1) }}",
    "{{ {} | first }}",
    "{{ blueprint.packages[10**30] }}",
    "{{ ''.join(1) }}",
    "{{ '%d' % 'a' }}",
    '{% extends "builtin/debian/pipeline.yaml.j2" %}\n',
)


@pytest.fixture(scope="module")
def blueprint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("templates") / "web.yaml"
    made.write_text("name: web\ndistro: debian-12\npackages: [nginx]\nusers: [{name: admin}]\n")
    return made


def with_templates(blueprint: Path, template: bytes | None, distro: bytes) -> None:
    own = blueprint.parent / "own/debian"
    own.mkdir(parents=True, exist_ok=True)
    (own / "distro.yaml").write_bytes(distro)
    if template is not None:
        (own / "pipeline.yaml.j2").write_bytes(template)
    project = Project(templates=[own.parent])
    project.image(project.load(blueprint))


def template(source: random.Random) -> bytes:
    if source.random() < 0.5:
        return "".join(source.choices(PIECES, k=source.randint(1, 8))).encode()
    pieces = [piece.encode() for piece in PIECES]
    return harness.cut(source.choice(TEMPLATES), [*TEMPLATES, *pieces, *pieces, *pieces], source)


def test_templates(blueprint: Path) -> None:
    harness.try_each(30, template, lambda raw: with_templates(blueprint, raw, b"inherits: debian\n"))


def test_distributions(blueprint: Path) -> None:
    harness.try_each(
        30,
        lambda source: harness.cut(source.choice(DISTROS), DISTROS, source),
        lambda raw: with_templates(blueprint, b'{% extends "builtin/debian/pipeline.yaml.j2" %}', raw),
    )


OSBUILD = {
    "name": "x",
    "description": "y",
    "version": "0.0.1",
    "distro": "fedora-43",
    "packages": [{"name": "vim", "version": "*"}],
    "groups": [{"name": "anaconda-tools"}],
    "containers": [{"source": "quay.io/a/b:c", "name": "x", "tls-verify": True}],
    "customizations": {
        "hostname": "web",
        "kernel": {"name": "kernel", "append": "a=b"},
        "user": [{"name": "a", "password": "$6$x", "key": "ssh-ed25519 AAAA", "groups": ["wheel"], "uid": 1000}],
        "group": [{"name": "b", "gid": 1001}],
        "timezone": {"timezone": "UTC", "ntpservers": ["a"]},
        "locale": {"languages": ["en_US.UTF-8"], "keyboard": "us"},
        "firewall": {"ports": ["22:tcp"], "services": {"enabled": ["ftp"], "disabled": ["telnet"]}},
        "services": {"enabled": ["sshd"], "masked": ["x"]},
        "filesystem": [{"mountpoint": "/var", "minsize": "2 GiB"}],
        "disk": {"minsize": "4 GiB", "partitions": [{"type": "lvm", "logical_volumes": [{"minsize": 1}]}]},
        "files": [{"path": "/etc/x", "mode": "0644", "user": "root", "data": "y"}],
        "directories": [{"path": "/etc/y", "ensure_parents": True}],
        "repositories": [{"id": "x", "baseurls": ["http://a/"], "gpgcheck": True}],
    },
}


def command_line(words: Sequence[str]) -> None:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as errors:
        code = cli.main(words)
    assert code in (0, 2), (code, errors.getvalue())


def test_imports() -> None:
    def run(raw: bytes) -> None:
        with harness.scratch(raw, "blueprint.json") as path:
            command_line(["import", str(path)])
            command_line(["import", "--distro", "debian-12", str(path)])

    def make(source: random.Random) -> bytes:
        text = json.dumps(harness.mutated(OSBUILD, source, source.choice((0.02, 0.1, 0.3)))).encode()
        return harness.cut(text, [text], source) if source.random() < 0.3 else text

    harness.try_each(25, make, run)


WORDS = (
    *("check", "render", "plan", "distros", "stages", "templates", "schema", "import", "inspect", "completion"),
    *("--json", "--set", "--var", "--profile", "--templates", "--libdir", "--repo", "--mirror", "-f", "--explain"),
    *("--help", "-", "--", "--resolved", "list", "show", "blueprint", "qcow2", "a=b", "disk.size=1", "users.0.name=x"),
    *("/dev/null", "/nonexistent", ".", "debian", "bash", "noop", "--no-such", "-\x1b[2J", "\udcff", "\u202e"),
)


def test_command_lines(blueprint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(blueprint.parent)

    def make(source: random.Random) -> bytes:
        words = [source.choice((*WORDS, "web.yaml", str(harness.odd(source)))) for _ in range(source.randint(0, 6))]
        return json.dumps([word.replace("\0", "") for word in words]).encode()

    def run(raw: bytes) -> None:
        words: Sequence[str] = json.loads(raw)
        command_line(words)

    harness.try_each(40, make, run)
