"""A template or distro.yaml of somebody else ends in an error of that file, in bounded time and memory."""

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import REPO

SECONDS = 30  # of processor time; a limit that is met is told after 5, on a slow machine too
MEMORY = 1_500_000_000  # bytes of address space beyond what is needed to start

# Text of the block `packages`, or whole templates, that are not fine.
TEMPLATES = {
    "date": "stages: [{name: org.osbuild.noop, options: {a: 2020-01-01}}]",
    "time": "stages: [{name: org.osbuild.noop, options: {a: 2020-01-01 10:00:00}}]",
    "infinity": "stages: [{name: org.osbuild.noop, options: {a: .inf}}]",
    "no number": "stages: [{name: org.osbuild.noop, options: {a: .nan}}]",
    "number as a key": "stages: [{name: org.osbuild.noop, options: {1: a}}]",
    "null as a key": "stages: [{name: org.osbuild.noop, options: {null: a}}]",
    "set": "stages: [{name: org.osbuild.noop, options: !!set {a, b}}]",
    "binary": "stages: [{name: org.osbuild.noop, options: {a: !!binary aGVsbG8=}}]",
    "object": "stages: [{name: org.osbuild.noop, options: !!python/object:os.system {}}]",
    "long number": "stages: [{name: org.osbuild.noop, options: {a: " + "1" * 5000 + "}}]",
    "half a character": 'stages: [{name: org.osbuild.noop, options: {a: "\\ud800"}}]',
    "levels": "stages: " + "[" * 5000 + "]" * 5000,
    "levels of a stage": "stages: [{name: org.osbuild.noop, options: {a: " + "[" * 500 + "]" * 500 + "}}]",
    "block levels": "stages:\n" + "".join(" " * depth + "- a:\n" for depth in range(1, 500)),
    "aliases": "stages:\n- &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    + "".join(f"- &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)),
    "alias of itself": "stages: &a [*a]",
    "text": "{{ 'x' * 10**10 }}",
    "list": "{{ [1] * 10**10 }}",
    "power": "{{ 10 ** 10 ** 10 }}",
    "doubling": "{% set ns = namespace(s='xxxxxxxx') %}"
    + "{% for a in 'x' * 60 %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}",
    "width": "{{ 'x'.ljust(10**10) }}",
    "centred": "{{ 'x' | center(10**10) }}",
    "indent": "{{ 'x\ny' | indent(10**10) }}",
    "percent": "{{ '%10000000000d' | format(1) }}",
    "format": "{{ '{:>10000000000}'.format(1) }}",
    "zeros": "{{ '1'.zfill(10**10) }}",
    "tabs": "{{ '\t'.expandtabs(10**10) }}",
    "replace": "{{ ('x' * 10**6) | replace('x', 'x' * 10**6) }}",
    "json": "{{ {'a': 1} | tojson(indent=10**10) }}",
    "batch": "{% for x in [1] | batch(10**10, 1) %}{% endfor %}",
    "loops": "".join(f"{{% for a{n} in 'x' * 1000 %}}" for n in range(10)) + "{% endfor %}" * 10,
    "output": "{% for a in 'x' * 1000000 %}{% for b in 'x' * 1000000 %}xxxxxxxxxxxxxxxx\n{% endfor %}{% endfor %}",
    "refusals": "{% for a in 'x' * 1000000 %}{% for b in 'x' * 1000 %}{{ nothing }}{% endfor %}{% endfor %}",
    "macro": "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}",
    "tree of macros": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
    "recursive loop": "{% for x in [[1]] recursive %}{{ loop([x]) }}{% endfor %}",
    "includes": "{% include 'debian/pipeline.yaml.j2' %}",
    "extends itself": "{% extends 'debian/pipeline.yaml.j2' %}",
    "many loops": "".join(f"{{% for a{n} in [1] %}}" for n in range(60)) + "{% endfor %}" * 60,
    "many ifs": "{% if 1 %}" * 200 + "{% endif %}" * 200,
    "brackets": "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "additions": "{{ " + "+".join(["1"] * 30000) + " }}",
    "expression": "{{ (('a' | matches('(a|a)*b')) and ('a' * 40) | matches('(a|a)*b')) }}",
    "regular expression": "{{ ('a' * 60) | matches('(a|a)*b') }}",
    "bad expression": "{{ 'a' | matches('(') }}",
    "class": "{{ blueprint.__class__.__mro__ }}",
    "attr": "{{ blueprint | attr('__class__') }}",
    "format class": "{{ '{0.__class__.__init__.__globals__}'.format(blueprint) }}",
    "format_map class": "{{ '{x.__class__}'.format_map({'x': blueprint}) }}",
    "function": "{{ refuse.__globals__ }}",
    "code": "{{ refuse.__code__ }}",
    "method": "{{ release.family.mirrored() }}",
    "document": "{{ blueprint.document.from_tree('x', 1) }}",
    "module": "{% import os %}",
    "filter": "{{ 1 | nothing }}",
    "test": "{{ 1 is nothing }}",
    "unclosed": "{% for",
    "wrong refusal": "{{ refuse(1, 2, 3) }}",
    "long refusal": "{{ refuse('packages', 'x' * 10**7) }}",
    "long name": "{% include 'x' * 10**7 %}",
    "long key": "{{ {}['x' * 10**7] }}",
    "not UTF-8": "\udcff\udcfe",
    "NUL": "stages: [{name: 'a\0b'}]",
    "empty": "",
    "huge": "x" * 3_000_000,
}


def limited(extra: int = MEMORY) -> Callable[[], None]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (extra, extra))

    return limit


def check(directory: Path, command: str = "check", timeout: int = 120) -> subprocess.CompletedProcess[str]:
    (directory / "web.yaml").write_text("name: web\ndistro: debian-12\npackages: [nginx]\n")
    return subprocess.run(
        [sys.executable, "-m", "osbuild_compose", command, "--templates", directory / "t", directory / "web.yaml"],
        env={**os.environ, "PYTHONPATH": str(REPO), "TERM": "dumb", "XDG_CACHE_HOME": str(directory / "cache")},
        capture_output=True,
        check=False,
        text=True,
        timeout=timeout,
        preexec_fn=limited(),
    )


@pytest.fixture
def own(tmp_path: Path) -> Path:
    made = tmp_path / "t/debian"
    made.mkdir(parents=True)
    (made / "distro.yaml").write_text("inherits: debian\n")
    return made


def refused(done: subprocess.CompletedProcess[str], file: str) -> None:
    assert done.returncode == 2, (done.returncode, done.stderr[-2000:])
    assert "Traceback" not in done.stderr
    assert file in done.stderr
    assert len(done.stderr) < 10_000


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template(name: str, own: Path, tmp_path: Path) -> None:
    (own / "pipeline.yaml.j2").write_text(TEMPLATES[name], errors="surrogateescape")
    done = check(tmp_path)
    refused(done, "web.yaml" if name.endswith("refusal") else "pipeline.yaml.j2")


@pytest.mark.parametrize("name", ["text", "loops", "date", "levels", "class", "tree of macros"])
@pytest.mark.parametrize("block", ["packages", "system", "image"])
def test_a_block(name: str, block: str, own: Path, tmp_path: Path) -> None:
    """The line of one's own template is told, not one of the built-in template."""
    text = TEMPLATES[name].replace("stages: ", "  - ")
    (own / "pipeline.yaml.j2").write_text(
        f'{{% extends "builtin/debian/pipeline.yaml.j2" %}}\n{{% block {block} %}}\n{text}\n{{% endblock %}}\n'
    )
    refused(check(tmp_path), "t/debian/pipeline.yaml.j2:")


@pytest.mark.parametrize("command", ["check", "render", "plan"])
def test_commands(command: str, own: Path, tmp_path: Path) -> None:
    (own / "pipeline.yaml.j2").write_text(TEMPLATES["loops"])
    refused(check(tmp_path, command), "pipeline.yaml.j2")


DISTROS = {
    "infinity": "inherits: debian\nvariables: {x: .inf}\nreleases: {debian-12: {title: .nan}}\n",
    "date": "inherits: debian\nreleases: {debian-12: 2020-01-01}\n",
    "levels": "inherits: " + "[" * 5000,
    "aliases": "a: &a [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join(['*a'] * 1000)}]\n" for n in range(60)),
    "itself": "inherits: fedora\n",
    "not UTF-8": "\udcff",
    "NUL": "inherits: 'a\0b'\n",
    "escaped NUL": 'inherits: "\\0"\n',
    "huge": "# " + "x" * 5_000_000,
    "number": "inherits: " + "1" * 5000 + "\n",
    "key": "inherits: debian\nreleases: {debian-12: {keys: [/dev/zero]}}\n",
    "list": "[]",
    "empty": "",
}


@pytest.mark.parametrize("name", DISTROS)
def test_a_distribution(name: str, own: Path, tmp_path: Path) -> None:
    (own / "distro.yaml").write_text(DISTROS[name], errors="surrogateescape")
    done = check(tmp_path)
    assert done.returncode in (0, 2), done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 10_000


@pytest.mark.parametrize("file", ["distro.yaml", "pipeline.yaml.j2"])
@pytest.mark.parametrize("kind", ["FIFO", "directory", "device", "endless", "link to itself", "huge"])
def test_what_is_no_file(kind: str, file: str, own: Path, tmp_path: Path) -> None:
    path = own / file
    path.unlink(missing_ok=True)
    match kind:
        case "FIFO":
            os.mkfifo(path)
        case "directory":
            path.mkdir()
        case "device":
            path.symlink_to("/dev/null")
        case "endless":
            path.symlink_to("/dev/zero")
        case "link to itself":
            path.symlink_to(path.name)
        case "huge":
            with path.open("wb") as sparse:
                sparse.truncate(10 << 40)
    done = check(tmp_path)
    if kind == "link to itself":  # as if there were none
        assert done.returncode in (0, 2)
        assert "Traceback" not in done.stderr
    else:
        refused(done, file)


def test_a_good_template_is_still_rendered(own: Path, tmp_path: Path) -> None:
    (own / "pipeline.yaml.j2").write_text('{% extends "builtin/debian/pipeline.yaml.j2" %}\n')
    done = check(tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
