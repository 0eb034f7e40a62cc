"""What made a part of a pipeline: the template's line that wrote it, the values of the blueprint that were read."""

import json
from pathlib import Path
from typing import Any

import pytest

from osbuild_compose.blueprint.formats import Format
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.compile.pipeline import _parse
from osbuild_compose.compile.template.tracing import Origin
from osbuild_compose.document.node import Trail
from osbuild_compose.project import Project
from tests.conftest import REPO
from tests.unit.compile import compiling

SAMPLES = sorted((REPO / "blueprints").glob("*.yaml"))


def explained(project: Project, wanted: Blueprint) -> tuple[dict[str, Any], dict[Trail, Origin]]:
    project.mirror = "http://m.example"
    found = project.origins(wanted, [Format.QCOW2])
    return _parse(found.text, ""), found.programs()


def own_template(directory: Path, text: str) -> Project:
    """A project where Debian's template is extended by this text."""
    (directory / "debian").mkdir()
    head = '{% extends "builtin/debian/pipeline.yaml.j2" %}\n'
    (directory / "debian/pipeline.yaml.j2").write_text(head + text)
    return Project([directory])


def named(pipeline: dict[str, Any], origins: dict[Trail, Origin], name: str) -> Origin:
    (trail,) = [("stages", index) for index, stage in enumerate(pipeline["stages"]) if stage["name"].endswith(name)]
    return origins[trail]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_marks_change_nothing_of_the_pipeline(sample: Path) -> None:
    project = Project(mirror="http://m.example")
    wanted = project.load(sample)
    for image_format in (Format.QCOW2, Format.TAR):
        marked = project.origins(wanted, [image_format])
        pipeline = json.loads(project.image(wanted, [image_format]).pipeline)
        assert compiling.without_provenance(_parse(marked.text, "")) == compiling.without_provenance(pipeline)
        trails = [("stages", index) for index in range(len(pipeline["stages"]))]
        assert list(marked.programs()) == [*trails, ("assembler",)]


def test_a_stage_is_of_a_line_in_a_block_and_of_the_values_that_were_read() -> None:
    wanted = compiling.blueprint("name: web\ndistro: debian-12\nhostname: h\ntimezone: UTC\npackages: [nginx]\n")
    pipeline, origins = explained(Project(), wanted)
    origin = named(pipeline, origins, "hostname")
    base = (REPO / "templates/_base/pipeline.yaml.j2").read_text().split("\n")
    assert origin.place.file == str(REPO / "templates/_base/pipeline.yaml.j2")
    assert base[origin.place.line - 1] == "- name: org.osbuild.hostname"
    assert [(site.what, site.name) for site in origin.around] == [("block", "hostname")]
    assert base[origin.around[0].line - 1] == "{% block hostname %}"
    assert origin.reads == (("hostname",),)


def test_a_stage_of_a_macro_is_also_of_the_block_that_calls_it() -> None:
    wanted = compiling.blueprint("name: web\ndistro: debian-12\ntimezone: UTC\npackages: [nginx]\n")
    _, origins = explained(Project(), wanted)
    base, packages = origins["stages", 0], origins["stages", 1]
    assert [(site.what, site.name) for site in base.around] == [("macro", "apt"), ("block", "base")]
    assert [(site.what, site.name) for site in packages.around] == [("macro", "apt"), ("block", "packages")]
    assert ("packages",) not in base.reads
    assert {("packages",), ("timezone",)} <= set(packages.reads)


def test_an_overridden_block_shows_both_templates(tmp_path: Path) -> None:
    project = own_template(
        tmp_path,
        "{% block services %}\n"
        "{% if blueprint.kernel.append %}\n- name: org.osbuild.noop\n  options: {}\n{% endif %}\n"
        "{{ super() }}\n{% endblock %}\n",
    )
    wanted = compiling.blueprint(
        "name: a\ndistro: debian-12\nkernel: {append: quiet}\nservices: {enabled: [b]}\nscripts: [c]\n"
    )
    pipeline, origins = explained(project, wanted)
    own = named(pipeline, origins, "noop")
    assert (own.place.file, own.place.line) == (str(tmp_path / "debian/pipeline.yaml.j2"), 4)
    assert own.reads == (("kernel",), ("kernel", "append"))
    services = named(pipeline, origins, "systemd")
    assert [Path(site.file).parent for site in services.around] == [REPO / "templates/_base", tmp_path / "debian"]
    assert ("services", "enabled") in services.reads
    assert ("scripts",) not in services.reads
    assert {trail[:2] for trail in named(pipeline, origins, "script").reads} == {("scripts",), ("scripts", 0)}


def test_what_a_variable_was_made_of_counts_where_it_is_used(tmp_path: Path) -> None:
    project = own_template(
        tmp_path,
        "{% set quiet = blueprint.kernel.append, blueprint.locale %}\n"
        "{% set twice = quiet[0] ~ blueprint.hostname %}\n"
        "{% set more = namespace(of=none) %}\n"
        "{% set more.of = blueprint.description %}\n"
        "{% set more.of = more.of ~ blueprint.timezone %}\n"
        "{% set entries %}{{ blueprint.version }}{% endset %}\n"
        "{% block scripts %}\n"
        "- name: org.osbuild.script\n  options: {script: {{ twice ~ more.of }}}\n"
        "{% if false %}{% elif quiet[1] %}- name: org.osbuild.noop\n  options: {}\n{% endif %}"
        "- name: org.osbuild.test\n  options: {quiet: {{ image.quiet is defined }}}\n{% endblock %}\n",
    )
    wanted = compiling.blueprint(
        "name: a\ndistro: debian-12\nkernel: {append: quiet}\nhostname: h\nlocale: C\ndescription: d\ntimezone: UTC\n"
    )
    pipeline, origins = explained(project, wanted)
    assert set(named(pipeline, origins, "script").reads) == {
        ("kernel",),
        ("kernel", "append"),
        ("locale",),
        ("hostname",),
        ("description",),
        ("timezone",),
    }
    assert ("locale",) in named(pipeline, origins, "noop").reads
    assert named(pipeline, origins, "osbuild.test").reads == ()


def test_what_debian_makes_of_packages_says_so() -> None:
    """Its template knows at the top whether there is an ssh server, and makes host keys at the first boot."""
    text = 'name: a\ndistro: debian-12\npackages: [openssh-server, nftables]\nfirewall: {ports: ["80:tcp"]}\n'
    pipeline, origins = explained(Project(), compiling.blueprint(text))
    assert ("packages",) in named(pipeline, origins, "systemd").reads
    files = [origins["stages", number] for number, stage in enumerate(pipeline["stages"]) if "files" in stage["name"]]
    assert ("packages",) in files[0].reads  # the unit that makes the keys
    assert ("firewall",) in files[1].reads  # nftables.conf
