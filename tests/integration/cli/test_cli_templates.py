"""compose templates list, show, eject and check; compose render --explain."""

import json
from pathlib import Path

import pytest

from osbuild_compose.blueprint.formats import Format
from osbuild_compose.cli.templates import eject
from osbuild_compose.compile.template import template_blocks
from osbuild_compose.compile.template.distributions import chain_of
from osbuild_compose.distro import catalog
from osbuild_compose.project import Project
from tests.integration.cli.commands import REPO, compose, fine, wrong

SAMPLE = REPO / "blueprints/debian-web-server.yaml"
RELEASES = {"debian": "debian-12", "fedora": "fedora-43", "rocky": "rocky-9"}


def pipeline(release: str, templates: Path | None = None) -> bytes:
    """What the release's template makes of a blueprint with most keys."""
    project = Project([templates] if templates else (), mirror="http://m.example")
    group = "sudo" if release.startswith("debian") else "wheel"
    project.settings = [f"distro={release}", "scripts=[a]", f"users.0.groups=[{group}]"]
    wanted = project.load(SAMPLE)
    return project.image(wanted, [Format.QCOW2]).pipeline


def test_list() -> None:
    rows = {row["name"]: row for row in json.loads(fine("templates", "list", "--json"))}
    assert set(rows) == {path.parent.name for path in (REPO / "templates").glob("*/distro.yaml")}
    assert rows["rocky"]["template"] == "fedora/pipeline.yaml.j2"
    assert "debian-12" in rows["debian"]["releases"]
    assert "debian: debian-12, debian-13\n" in fine("templates", "list")


def test_show_names_the_blocks_with_their_lines() -> None:
    shown = json.loads(fine("templates", "show", "debian-12", "--json"))
    assert [Path(file).parent.name for file in shown["templates"]] == ["debian", "_base"]
    assert [Path(item["file"]).parent.name for item in shown["blocks"]["base"]] == ["debian", "_base"]
    for items in shown["blocks"].values():
        for item in items:
            line = Path(item["file"]).read_text().split("\n")[item["line"] - 1]
            assert item["text"].split("\n")[0] in line
            assert item["text"].count("{% block") == item["text"].count("{% endblock")
    assert "{% block accounts" not in fine("templates", "show", "debian", "--block", "system")
    wrong(compose("templates", "show", "debian", "--block", "sytem"), "did you mean `system`?")
    wrong(compose("templates", "show", "debain"), "did you mean `debian`?")


@pytest.mark.parametrize(("distro", "release"), RELEASES.items())
def test_what_is_ejected_makes_the_same_pipelines(tmp_path: Path, distro: str, release: str) -> None:
    eject(distro, tmp_path / "all", (), force=False)
    assert (tmp_path / "all" / distro / "distro.yaml").is_file()
    before = pipeline(release)
    assert pipeline(release, tmp_path / "all") == before
    names = list(template_blocks.in_order(chain_of(distro, ())[1]))
    for block in names if distro == "debian" else ["boot", "services"]:
        eject(distro, tmp_path / block, [block], force=False)
        assert (tmp_path / block / distro / "pipeline.yaml.j2").is_file()
        assert pipeline(release, tmp_path / block) == before, block


def test_eject_replaces_nothing_unasked(tmp_path: Path) -> None:
    done = compose("templates", "eject", "rocky-9", "mine", "--block", "boot", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "mine/rocky/pipeline.yaml.j2\n")
    assert "use it with: --templates mine" in done.stderr
    file = tmp_path / "mine/rocky/pipeline.yaml.j2"
    file.write_text("my work")
    again = ("templates", "eject", "rocky", "mine", "--block", "boot")
    wrong(compose(*again, cwd=tmp_path), "mine/rocky/pipeline.yaml.j2 already exists")
    assert file.read_text() == "my work"
    fine(*again, "--force", cwd=tmp_path)
    assert "{% block boot %}" in file.read_text()
    wrong(compose(*again, cwd=tmp_path), "has the block boot already, in line 3")
    wrong(compose("templates", "eject", "rocky", "x", "--block", "bot", cwd=tmp_path), "did you mean `boot`?")
    assert not (tmp_path / "x").exists()


def test_blocks_are_added_to_a_template_that_is_there(tmp_path: Path) -> None:
    before = pipeline("debian-12", tmp_path)
    file = tmp_path / "debian/pipeline.yaml.j2"
    eject("debian", tmp_path, ["boot"], force=False)
    first = file.read_text()
    eject("debian", tmp_path, ["services", "scripts"], force=False)
    assert file.read_text().startswith(first)
    assert [line for line in file.read_text().splitlines() if line.startswith("{% block ")] == [
        "{% block boot %}",
        "{% block services %}",
        "{% block scripts %}",
    ]
    assert pipeline("debian-12", tmp_path) == before


def test_check_looks_at_what_the_directory_changes(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/distro.yaml").write_text(
        "inherits: centos\nreleases: {lab-1: {inherits: centos-10, title: Lab 1}}\n"
    )
    releases = {row["release"] for row in json.loads(fine("templates", "check", tmp_path, "--json"))}
    assert releases == {"lab-1"}
    (tmp_path / "centos").mkdir()
    (tmp_path / "centos/distro.yaml").write_text("inherits: centos\n")
    releases = {row["release"] for row in json.loads(fine("templates", "check", tmp_path, "--json"))}
    assert {name.partition("-")[0] for name in releases} == {"almalinux", "centos", "lab", "rocky"}


def test_check_of_the_built_in_templates() -> None:
    rows = json.loads(fine("templates", "check", "--json"))
    assert {row["release"] for row in rows} == set(catalog.find().releases)
    for row in rows:
        assert row["errors"] == []
        assert row["pipelines"] == 4
    assert [row["refused"] for row in rows if row["release"] == "fedora-43"] == [["debconf"]]
    assert [row["refused"] for row in rows if row["release"] == "debian-12"] == [["enabled_modules", "selinux", "fips"]]


def test_check_finds_mistakes_of_all_kinds_at_once(tmp_path: Path) -> None:
    mistakes = {
        "almalinux": ("{{ nothing }}", "almalinux/pipeline.yaml.j2:3:1: error: template: 'nothing' is undefined"),
        "rocky": ("{% if %}", "rocky/pipeline.yaml.j2:3:1: error: template: Expected an expression"),
        "centos": ("- name: a.b", "centos/pipeline.yaml.j2:3:1: error: there is no stage a.b"),
        # One that only shows when a key is there, and one that only shows for archives.
        "debian": (
            "{% if blueprint.sysctl %}{{ 1 }}{% endif %}",
            "template debian/pipeline.yaml.j2 does not make valid",
        ),
        "fedora": ("{{ image.root if not image.is_disk }}", "fedora/pipeline.yaml.j2:3:1: error: template: "),
    }
    for distro, (text, _) in mistakes.items():
        (tmp_path / distro).mkdir()
        parent = "builtin/debian/pipeline.yaml.j2" if distro == "debian" else "builtin/fedora/pipeline.yaml.j2"
        (tmp_path / distro / "pipeline.yaml.j2").write_text(
            f'{{% extends "{parent}" %}}\n{{% block scripts %}}\n{text}\n{{% endblock %}}\n'
        )
    done = compose("templates", "check", ".", cwd=tmp_path)
    for _, message in mistakes.values():
        wrong(done, message)
    assert ": fine" not in done.stderr
    assert done.stderr.endswith("5 errors\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{% block scriptz %}\n{% endblock %}\n", ":2:1: error: there is no block `scriptz` to override"),
        ("{% block scripts %}\n- name: [a\n{% endblock %}\n", ":3:1: error: template debian/pipeline.yaml.j2 does not"),
        ("{% block scripts %}\n# \xe9\n{% endblock %}\n", "debian/pipeline.yaml.j2: error: the template is not UTF-8"),
        ('{% extends "debian/pipeline.yaml.j2" %}\n', ": error: the template extends, includes or calls itself"),
    ],
)
def test_a_mistake_is_reported_where_it_was_made(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.yaml").write_text("name: a\ndistro: debian-12\n")
    (tmp_path / "debian").mkdir()
    parent = "" if text.startswith("{% extends") else '{% extends "builtin/debian/pipeline.yaml.j2" %}\n'
    (tmp_path / "debian/pipeline.yaml.j2").write_bytes((parent + text).encode("latin-1"))
    done = compose("check", "a.yaml", "--templates", ".", cwd=tmp_path)
    wrong(done, message)
    assert "debian/pipeline.yaml.j2" in done.stderr.partition(": error:")[0]


def test_check_tells_templates_that_nothing_uses(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab/pipeline.yaml.j2").write_text("")
    wrong(compose("templates", "check", tmp_path), "lab/pipeline.yaml.j2 is used by no distribution")


def test_check_with_a_blueprint_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\ndistro: debian-12\nhostname: special\n")
    (tmp_path / "debian").mkdir()
    text = '{% extends "builtin/debian/pipeline.yaml.j2" %}\n{% block labels %}\n'
    text += '{% if blueprint.hostname == "special" %}\n- name: no.such\n{% endif %}\n{% endblock %}\n'
    (tmp_path / "debian/pipeline.yaml.j2").write_text(text)
    done = compose("templates", "check", tmp_path, "--blueprint", tmp_path / "a.yaml")
    wrong(done, "there is no stage no.such")
    assert "debian-12 x86_64: fine" in done.stderr


def test_render_explain(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: a\ndistro: debian-12\nusers:\n  - name: me\n    uid: 1001\nhostname: h\n")
    rows = json.loads(fine("render", "a.yaml", "--explain", "--json", cwd=tmp_path))
    rendered = json.loads(fine("render", "a.yaml", cwd=tmp_path))
    assert [row["name"] for row in rows[:-1]] == [stage["name"] for stage in rendered["stages"]]
    users = next(row for row in rows if row["name"] == "org.osbuild.users")
    lines = {value["key"]: value["line"] for value in users["blueprint"]}
    assert {key: lines[key] for key in lines if key != "distro"} == {"users.0.name": 4, "users.0.uid": 5}
    assert users["template"]["in"][0]["name"] == "accounts"
    assert "name" in {value["key"] for value in rows[-1]["blueprint"]}
    text = fine("render", "a.yaml", "--explain", cwd=tmp_path)
    assert "(block accounts)\n" in text
    assert "  blueprint  a.yaml:5  users.0.uid\n" in text
    assert "org.osbuild.hostname\n" in text
    assert "  blueprint  a.yaml:6  hostname\n" in text


def test_render_explain_of_a_build_root(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("name: a\ndistro: debian-12\nbuild_environment:\n  from: debian-13\n")
    done = compose("render", "b.yaml", "--explain", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    root, base, *_ = json.loads(done.stdout)
    assert root["path"] == ["build", "pipeline", "stages", 0]
    assert [site["name"] for site in root["template"]["in"]] == ["apt", "build_root"]
    assert [(value["key"], value["line"]) for value in root["blueprint"]] == [("build_environment.from", 4)]
    assert base["path"] == ["stages", 0]
