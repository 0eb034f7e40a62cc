"""A distribution of a package family that only template files describe, built by the command line."""

import io
import json
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from osbuild_compose import BuildError, Project, RunnerSettings, inspect
from tests.conftest import REPO, Account
from tests.integration.cli.commands import compose, fine, wrong

FILES = {
    "base": {
        "etc/os-release": "NAME=Parcel\nID=parcel\n",
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
        "etc/group": "root:x:0:\n",
        "etc/shells": "/bin/sh\n",
        "etc/issue": "Parcel Linux\n",
    },
    "shell": {"bin/sh": "a shell\n", "usr/share/doc/shell/readme": "how to use it\n"},
    "editor": {"usr/bin/editor": "an editor\n", "usr/share/doc/editor/readme": "how to leave it\n", "etc/editorrc": ""},
}
BLUEPRINT = """\
name: tiny
distro: parcel-1
packages: [editor]
embed_provenance: false
formats: [tar, {format: squashfs, contents: container}]
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[str]:
    """The address of a repository with the parcels."""
    for name, files in FILES.items():
        with tarfile.open(tmp_path / f"{name}.tar", "w") as archive:
            for path, text in files.items():
                member = tarfile.TarInfo(path)
                member.size, member.mode = len(text), 0o755 if "bin/" in path else 0o644
                archive.addfile(member, io.BytesIO(text.encode()))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_building_by_the_python_api(tmp_path: Path, repository: str) -> None:
    project = Project(
        templates=[REPO / "tests/templates/parcel"],
        libdirs=[REPO / "tests/templates/parcel-lib"],
        repos=[f"parcels={repository}"],
    )
    image = project.image(project.load_text(BLUEPRINT))
    settings = RunnerSettings(store=tmp_path / "store")
    assert {action.kind for action in project.plan(image, settings).actions} == {"run"}
    seen: list[str] = []
    (built,) = project.build(
        [image], tmp_path / "out", settings, on_event=lambda event: seen.append(type(event).__name__)
    )
    assert built.error is None
    assert {path.name for path in built.files} == {"tiny.tar", "tiny.squashfs"}
    assert seen[0] == "Plan"
    assert "End" in seen
    assert seen[-1] == "Result"
    (again,) = project.build([image], tmp_path / "again", settings)
    assert (again.tree_id, again.output_id) == (built.tree_id, built.output_id)
    system = inspect(tmp_path / "out/tiny.tar").system
    assert system is not None
    assert system.os_release["NAME"] == "Parcel"
    (tmp_path / "base.tar").unlink()
    with pytest.raises(BuildError, match=r"org\.example\.parcel"):
        project.build([image], tmp_path / "none", RunnerSettings(store=tmp_path / "empty"))


def test_images_of_a_family_of_its_own(account: Account, place: Path, repository: str) -> None:
    for name in ("parcel", "parcel-lib"):
        shutil.copytree(REPO / "tests/templates" / name, place / name)
    (place / "tiny.yaml").write_text(BLUEPRINT)
    chosen = ["--templates", "parcel", "--libdir", "parcel-lib"]
    checked = account.compose("check", "tiny.yaml", *chosen, cwd=place)
    assert checked.returncode == 0, checked.stderr
    argv = ["build", "tiny.yaml", *chosen, "--repo", f"parcels={repository}", "--store", "store", "-o", "out", "--json"]
    done = account.compose(*argv, cwd=place)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["success"]
    expected = {path: text for files in FILES.values() for path, text in files.items()}
    assert len(expected) == 10
    with tarfile.open(place / "out/tiny.tar") as archive:
        members = {item.name.removeprefix("./"): item for item in archive.getmembers() if item.isfile()}
        assert set(members) == set(expected)
        texts = {name: archive.extractfile(item).read().decode() for name, item in members.items()}  # type: ignore[union-attr]
    assert texts == expected
    assert members["bin/sh"].mode == 0o755
    assert {(item.uid, item.gid) for item in members.values()} == {(0, 0)}
    listed = subprocess.run(
        ["unsquashfs", "-lls", place / "out/tiny.squashfs"], capture_output=True, text=True, check=True
    ).stdout
    files = {line.partition("squashfs-root/")[2] for line in listed.splitlines() if line.startswith("-")}
    assert files == set(expected)


def test_a_parcel_that_no_repository_has(account: Account, place: Path, repository: str) -> None:
    for name in ("parcel", "parcel-lib"):
        shutil.copytree(REPO / "tests/templates" / name, place / name)
    (place / "tiny.yaml").write_text(BLUEPRINT.replace("editor", "game"))
    argv = ["build", "tiny.yaml", "--templates", "parcel", "--libdir", "parcel-lib", "--store", "store", "-o", "out"]
    done = account.compose(*argv, "--repo", f"parcels={repository}", cwd=place)
    assert done.returncode == 1
    assert "no repository has the parcel game" in done.stderr


@pytest.mark.parametrize("name", ["derivative", "parcel"])
def test_the_templates_of_tests_pass_the_check_of_templates(name: str) -> None:
    templates = REPO / "tests/templates"
    rows = json.loads(fine("templates", "check", templates / name, "--libdir", templates / "parcel-lib", "--json"))
    own = [row for row in rows if row["release"].startswith(("tin", "parcel"))]
    assert own
    assert [row["errors"] for row in own] == [[]] * len(own)
    assert {row["pipelines"] for row in own} == {4}


def test_a_distribution_that_is_wrong_is_shown_where_all_are_read_and_disturbs_no_build(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/distro.yaml").write_text("title: Broken\nreleases: [\n")
    (tmp_path / "b.yaml").write_text("name: a\ndistro: debian-12\n")
    assert compose("check", "b.yaml", "--templates", ".", cwd=tmp_path).returncode == 0
    for argv in ("distros --templates .", "templates check .", "templates list --templates ."):
        wrong(compose(*argv.split(), cwd=tmp_path), "broken/distro.yaml:3:1: error: not valid YAML")
    (tmp_path / "b.yaml").write_text("name: a\ndistro: broken-1\n")
    wrong(compose("check", "b.yaml", "--templates", ".", cwd=tmp_path), "broken/distro.yaml:3:1: error: not valid YAML")
    (tmp_path / "broken/distro.yaml").unlink()
    wrong(compose("check", "b.yaml", "--templates", ".", cwd=tmp_path), "unknown distro broken-1")
    (tmp_path / "b.yaml").write_text("name: a\ndistro: rocky-1O\n")
    done = compose("check", "b.yaml", "--json", cwd=tmp_path)
    assert '"suggestion": "rocky-10"' in done.stdout
