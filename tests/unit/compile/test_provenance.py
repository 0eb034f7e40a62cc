"""What images are told about how they were made."""

import json
from pathlib import Path
from typing import Any

import pytest

from osbuild_compose.blueprint import load
from osbuild_compose.blueprint.formats import Format
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.compile import official_addresses, pipeline, provenance
from osbuild_compose.compile.request import BuildRequest
from osbuild_compose.project import Project
from runner.manifest import v1
from runner.manifest.identity import osbuild_id
from tests import small_key
from tests.unit.compile.compiling import CATALOG, blueprint, names, options

TEXT = "name: web\ndistro: debian-12\nversion: 1.2.0\nhostname: h\n"
INLINE = {"stages": [{"name": "org.osbuild.noop", "options": {"one": 1}}]}


def compiled(wanted: Blueprint, *formats: Format, **chosen: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(Project(**chosen).image(wanted, formats).pipeline)
    return document


def embedded(document: dict[str, Any]) -> dict[str, Any]:
    (stage,) = options(document, provenance.STAGE)
    found: dict[str, Any] = stage["documents"]
    return found


def test_ids_are_those_that_osbuild_computes() -> None:
    lone = {"stages": [{"name": "org.osbuild.noop"}]}
    assert provenance.tree_id(lone) == "beda46704765a47e6d4f44aff22168ae36866c9c0e6e11552b775b77776b2969"
    for build in (INLINE, {"pipeline": INLINE, "runner": "any"}):
        assert provenance.tree_id({**lone, "build": build}) == v1.load({**lone, "build": build}).target.tree_id


def test_what_is_embedded() -> None:
    document = compiled(blueprint(TEXT))
    found = embedded(document)
    assert found["blueprint"] == {"name": "web", "distro": "debian-12", "version": "1.2.0", "hostname": "h"}
    facts = {key: found["build"][key] for key in ("name", "version", "distro", "arch")}
    assert facts == {"name": "web", "version": "1.2.0", "distro": "debian-12", "arch": "x86_64"}
    assert [stage["name"] for stage in found["build"]["stages"]] == [stage["name"] for stage in document["stages"][:-1]]


def test_the_tree_id_is_that_of_all_stages_before() -> None:
    official = compiled(blueprint("name: a\ndistro: fedora-43\n"))
    base = None
    for stage in official["stages"][: names(official).index("provenance")]:
        base = osbuild_id(stage["name"], None, base, stage["options"])
    assert embedded(official)["build"]["tree_id"] == base


def test_it_is_the_last_stage_but_for_labels() -> None:
    assert names(compiled(blueprint(TEXT)))[-1] == "provenance"
    assert names(compiled(blueprint("name: a\ndistro: fedora-43\n")))[-2:] == ["provenance", "selinux"]


def test_the_mirror_that_packages_come_from_changes_nothing() -> None:
    plain = compiled(blueprint(TEXT))
    mirrored = compiled(blueprint(TEXT), mirror="http://mirror.example/debian")
    assert plain["stages"][0] != mirrored["stages"][0]
    assert embedded(plain) == embedded(mirrored)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        (
            "distro: fedora-43\nrepositories: [{id: own, baseurl: 'http://own.example', check_signatures: false}]\n",
            {"repos": ["other=http://other.example"]},
        ),
        (
            "distro: debian-12\nrepositories: [{url: 'http://own.example', suites: [a]}]\n"
            "build_environment: {from: debian-13}\n",
            {"mirror": "http://mirror.example/debian"},
        ),
    ],
)
def test_nor_does_it_where_all_packages_are_of_the_blueprints_own_repositories(text: str, chosen: Any) -> None:
    wanted = blueprint(f"name: web\n{text}")
    plain, elsewhere = compiled(wanted), compiled(wanted, **chosen)
    assert json.dumps(plain) != json.dumps(elsewhere)
    assert embedded(plain) == embedded(elsewhere)


DEBIAN = "name: web\ndistro: debian-12\n"
MIRRORED = "http://m.example/d/releases/$releasever/Everything/$basearch/os"
FEDORA = "name: web\ndistro: fedora-43\npackages: [nginx]\n"


@pytest.mark.parametrize(
    ("text", "is_clear"),
    [
        (DEBIAN, True),
        (DEBIAN + "packages: [nginx]\nbuild_environment: {from: debian-13}\n", True),
        (DEBIAN + "repositories: [default, {url: 'http://own.example', suites: [a]}]\n", True),
        (DEBIAN + "repositories: [default, {url: 'http://m.example/d', suites: [bookworm]}]\n", False),
        (DEBIAN + "files: [{path: /f, content: 'see http://m.example/d'}]\n", False),
        (FEDORA, True),
        (FEDORA + "build_environment: {from: fedora-44}\n", True),
        (FEDORA + "repositories: [default, {id: own, baseurl: 'http://o.example', use: build}]\n", True),
        (FEDORA + "repositories: [default, {id: own, baseurl: 'http://m.example/d/o', use: build}]\n", True),
        (FEDORA + f"repositories: [default, {{id: own, baseurl: '{MIRRORED}', use: build}}]\n", False),
    ],
)
def test_ids_come_from_the_pipeline_that_was_made(text: str, is_clear: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project(mirror="http://m.example/d")
    wanted = blueprint(text)
    compiled_requests: list[BuildRequest] = []
    compile_request = pipeline.compile_request

    def counted(request: BuildRequest) -> pipeline.Pipeline:
        compiled_requests.append(request)
        return compile_request(request)

    monkeypatch.setattr(pipeline, "compile_request", counted)
    mirrored = json.loads(project.image(wanted).pipeline)
    parts = 2 if "build" in mirrored else 1
    assert len(compiled_requests) == (parts if is_clear else 2 * parts)  # compiled again only where it has to be
    again = [compile_request(request.official()) for request in compiled_requests[:parts]]
    build = {"build": {"pipeline": again[1], "runner": "any"}} if parts == 2 else {}
    document = embedded(mirrored)["build"]
    assert document["stages"] == provenance.ids({**again[0], **build}, len(document["stages"]))


def test_a_pipeline_is_rewritten_without_being_changed() -> None:
    project = Project(mirror="http://m.example/d")
    request = project._requests(blueprint(FEDORA), ())[0]
    made = pipeline.compile_request(request)
    before = json.dumps(made)
    rewritten = official_addresses.rewritten(made, [request])
    assert json.dumps(made) == before
    assert rewritten == pipeline.compile_request(request.official())


def test_packages_from_other_repositories_need_another_rendering() -> None:
    project = Project(repos=["other=http://other.example"])
    request = project._requests(blueprint(FEDORA), ())[0]
    assert official_addresses.rewritten(pipeline.compile_request(request), [request]) is None


def test_formats_of_the_command_line_share_the_tree() -> None:
    stages = [compiled(blueprint(TEXT), image_format)["stages"] for image_format in (Format.QCOW2, Format.CPIO)]
    assert stages[0] == stages[1]


def test_saying_what_holds_anyway_changes_nothing() -> None:
    said = blueprint(TEXT + "arch: x86_64\nformats: [qcow2]\nembed_provenance: true\n")
    assert compiled(said) == compiled(blueprint(TEXT))


def test_it_can_be_turned_off() -> None:
    assert "provenance" not in names(compiled(blueprint(TEXT + "embed_provenance: false\n")))


SECRETS = """
users:
  - {name: a, password: hunter-plain}
  - {name: b, password: $6$salt$hunter-hash}
  - {name: c, password: "!"}
repositories: [default, {url: "http://u:hunter-url@m.example/d", suites: [s], keys: [KEY]}]
sshd: {password_authentication: false}
cloud_init: {chpasswd: {list: "a:hunter-list"}, api_token: hunter-token, ssh_keys: {rsa_private: hunter-key}, x: y}
files: [{path: /f, content: "${x}"}]
""".replace(
    "KEY",
    small_key.IN_YAML,
)


def test_secrets_are_left_out_and_the_rest_is_a_blueprint_again(tmp_path: Path) -> None:
    text = TEXT + "packages: [openssh-server]\n" + SECRETS.replace("${x}", "$${x}")
    found = embedded(compiled(blueprint(text)))
    assert "hunter" not in json.dumps(found)
    assert [set(user) for user in found["blueprint"]["users"]] == [{"name"}, {"name"}, {"name", "password"}]
    assert found["blueprint"]["sshd"] == {"password_authentication": False}
    assert found["blueprint"]["repositories"][1]["url"] == "http://m.example/d"
    (tmp_path / "again.json").write_text(json.dumps(found["blueprint"]))
    again = load.load(tmp_path / "again.json", CATALOG.releases)
    assert again.files[0].content == "${x}"


@pytest.mark.parametrize("distro", sorted(CATALOG.releases))
def test_every_distribution_embeds_it(distro: str) -> None:
    document = compiled(blueprint(f"name: a\ndistro: {distro}\n"))
    assert embedded(document)["build"]["distro"] == distro
    v1.load(document)
