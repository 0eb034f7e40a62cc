"""The errors of failed stages point to the values of the blueprint that they are about."""

from pathlib import Path
from typing import Any

import pytest

from osbuild_compose.compile import faults, provenance
from osbuild_compose.errors import BuildError
from osbuild_compose.project import Project

PROJECT = Project(mirror="http://mirror.invalid/debian", security_mirror="http://mirror.invalid/security")
BLUEPRINT = """\
name: ex
distro: debian-12
formats: [squashfs]
packages: [nginx, jq=99, vim-tiny]
locale: de_DE.UTF-8
keyboard: xx
users: [{name: ops, uid: 1200, gid: 1200, groups: [adm, ops]}, {name: web, uid: 33, groups: [adm]}]
groups: [{name: site, gid: 1200}]
files: [{path: /srv/x, content: a, owner: bob}, {path: /srv/y, content: b, group: bob}]
services: {enabled: [httpd, jq], disabled: [apt-dialy.timer], masked: [x.service]}
scripts: ["true", {content: "curl x"}]
"""


def pointed(text: str, stage: str, brief: str, *details: str, hint: str = "", which: int = -1) -> BuildError:
    """The error of that stage of the blueprint, the last one of the name unless `which` says otherwise."""
    blueprint = PROJECT.load_text(text)
    stages = PROJECT.explain(blueprint)
    failed = [one for one in stages if one.name == stage][which]
    error = BuildError(f"{stage} failed with exit code 1: {brief}", details=details, hint=hint)
    faults.point(error, faults.FailedStep(failed.trail, {}), stages, blueprint, PROJECT.catalog.release("debian-12"))
    return error


@pytest.mark.parametrize(
    ("stage", "brief", "path"),
    [
        ("org.osbuild-compose.apt", "the repositories have no package vim-tiny", "packages.2"),
        ("org.osbuild-compose.apt", "Version '99' for 'jq' was not found", "packages.1"),
        ("org.osbuild.locale", "there is no locale 'de_DE.UTF-8'", "locale"),
        ("org.osbuild.keymap", "there is no keymap 'xx'", "keyboard"),
        ("org.osbuild.groups", "the group 'site' cannot have gid 1200: 'x' has it", "groups.0.gid"),
        ("org.osbuild.users", "the user 'web' cannot have uid 33: 'www-data' has it", "users.1.uid"),
        ("org.osbuild-compose.files", "/srv/x: the tree has no user 'bob'", "files.0.owner"),
        ("org.osbuild-compose.files", "/srv/y is a directory already", "files.1.path"),
        ("org.osbuild.systemd", "the tree has no unit 'apt-dialy.timer'", "services.disabled.0"),
        ("org.osbuild.systemd", "the tree has no unit 'apache2.service'", "services.enabled.0"),
        ("org.osbuild.script", "the script ended with status 3", "scripts.1"),
        ("org.osbuild.users", "something went wrong", ""),
    ],
)
def test_what_a_message_names(stage: str, brief: str, path: str) -> None:
    error = pointed(BLUEPRINT, stage, brief)
    assert error.path == path
    assert (error.location is not None) == bool(path)


def test_a_script_with_the_network_is_told_nothing_about_having_none() -> None:
    text = BLUEPRINT.replace('{content: "curl x"}', "{content: curl x, network: true}")
    error = pointed(text, "org.osbuild-compose.script-with-network", "the script ended with status 6", "getaddrinfo")
    assert error.path == "scripts.1"
    assert "network" not in error.hint


def test_each_script_has_its_line() -> None:
    assert pointed(BLUEPRINT, "org.osbuild.script", "the script ended with status 3", which=0).path == "scripts.0"


@pytest.mark.parametrize(
    ("option", "path"),
    [
        ('["users", "ops", "groups", 1]', "users.0.groups.1"),
        ('["users", "ops", "gid"]', "users.0.gid"),
        ('["users", "web"]', "users.1.name"),
    ],
)
def test_where_a_stage_points(option: str, path: str) -> None:
    blueprint = PROJECT.load_text(BLUEPRINT)
    stages = PROJECT.explain(blueprint)
    (failed,) = [one for one in stages if one.name == "org.osbuild.users"]
    options: dict[str, Any] = {"users": {"ops": {"gid": 1200, "uid": 1200, "groups": ["adm", "ops"]}, "web": {}}}
    error = BuildError("the user is wrong", details=["before", f"option: {option}", "option: [nonsense", "after"])
    faults.point(
        error, faults.FailedStep(failed.trail, options), stages, blueprint, PROJECT.catalog.release("debian-12")
    )
    assert error.path == path
    assert error.details == ("before", "option: [nonsense", "after")


def test_units_in_the_words_of_the_blueprint() -> None:
    error = pointed(BLUEPRINT, "org.osbuild.systemd", "the tree has no unit 'apache2.service'", hint="did you mean x?")
    assert error.details == ("`services` has httpd, which is apache2 in debian-12",)
    assert error.hint == "add apache2 to `packages`"
    unknown = pointed(BLUEPRINT, "org.osbuild.systemd", "the tree has no unit 'jq.service'", hint="its own")
    assert (unknown.details, unknown.hint) == ((), "its own")


@pytest.mark.parametrize(
    "line",
    [
        "curl: (6) Could not resolve host: example.org",
        "W: Failed to fetch http://x/  Temporary failure resolving 'x'",
        "wget: unable to resolve host address 'x'",
        "fatal: unable to access 'https://x/': Could not resolve host: x",
        "pip: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution",
        "npm ERR! network request to https://x failed, reason: getaddrinfo EAI_AGAIN x",
        "ping: connect: Network is unreachable",
    ],
)
def test_scripts_that_want_the_network(line: str) -> None:
    error = pointed(BLUEPRINT, "org.osbuild.script", "the script ended with status 6", line)
    assert error.hint.startswith("scripts have no network: ")


def test_programs_of_another_architecture() -> None:
    error = pointed(BLUEPRINT, "org.osbuild-compose.apt", "it failed", "bwrap: execvp dpkg: Exec format error")
    assert error.hint == "programs for another architecture need qemu-user-static and binfmt_misc on this machine"


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("https://example.org/tool-1.0", "files.1.url"),
        ("registry.example.org/app@sha256:" + "1" * 64, "containers.0.url"),
        ("https://example.org/other", ""),
    ],
)
def test_what_could_not_be_fetched(address: str, path: str) -> None:
    text = "name: a\ndistro: debian-12\npackages: [podman]\nfiles:\n- {path: /srv/x, content: a}\n"
    text += f"- {{path: /srv/y, url: 'https://example.org/tool-1.0', sha256: '{'0' * 64}'}}\n"
    text += f"containers: [{{name: x, url: 'docker://registry.example.org/app@sha256:{'1' * 64}'}}]\n"
    error = BuildError("1 of 2 source files could not be fetched", details=[f"{address}: not found"])
    assert faults.point_to_address(error, PROJECT.load_text(text)) == bool(path)
    assert error.path == path


def test_a_disk_that_is_too_small() -> None:
    text = "name: a\ndistro: debian-12\ndisk: {size: 1 GiB, partitions: [{mount: /srv, size: 100 MiB}]}\n"
    assert pointed(text, "org.osbuild.qemu", "a file system of 2 GiB does not fit into 1 GiB").path == "disk.size"
    assert pointed(text, "org.osbuild.qemu", "/srv does not fit: 200 MiB").path == "disk.partitions.0.mount"


def test_steps_by_their_ids() -> None:
    stages = [{"name": "a", "options": {}}, {"name": "b", "options": {"x": 1}}]
    build = {"pipeline": {"name": "root", "stages": [{"name": "r", "options": {}}]}, "runner": "x"}
    document = {"name": "n", "stages": stages, "assembler": {"name": "c", "options": {}}, "build": build}
    root = provenance.tree_id(build)
    found = provenance.ids(document, 2)
    assembler = provenance.stage_id("c", root, found[1]["id"], {})
    assert faults.step_trail(document, found[1]["id"]) == ("stages", 1)
    assert faults.step_trail({"pipeline": document, "sources": {}}, found[0]["id"]) == ("stages", 0)
    assert faults.step_trail(document, str(root)) == ("build", "pipeline", "stages", 0)
    assert faults.step_trail(document, assembler) == ("assembler",)
    assert faults.step_trail(document, "0") is None


def test_a_blueprint_without_a_file_has_lines_too(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(BLUEPRINT)
    blueprint = PROJECT.load(tmp_path / "b.yaml")
    stages = PROJECT.explain(blueprint)
    (failed,) = [one for one in stages if one.name == "org.osbuild.keymap"]
    error = BuildError("there is no keymap 'xx'")
    faults.point(error, faults.FailedStep(failed.trail, {}), stages, blueprint, PROJECT.catalog.release("debian-12"))
    assert str(error.location) == f"{tmp_path}/b.yaml:6:11"
