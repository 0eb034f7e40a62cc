"""A directory with a compose.yaml: commands without arguments, and names of images."""

import json
from pathlib import Path

import pytest

from tests.integration.cli.commands import compose, fine, wrong

BLUEPRINT = """\
name: web
version: "1.2"
distro: debian-12
formats: [tar]
profiles: {dev: {packages: [vim]}, prod: {packages: [nginx]}}
"""
PROJECT = """\
blueprints: [web.yaml]
store: .store
output: {directory: out, name: "${name}-${profile}-${version}"}
profiles: [dev, prod]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "web.yaml").write_text(BLUEPRINT)
    (tmp_path / "compose.yaml").write_text(PROJECT)
    (tmp_path / "below").mkdir()
    return tmp_path / "below"


def test_check_takes_the_projects_blueprints_with_each_profile(project: Path) -> None:
    made = json.loads(fine("check", "--json", cwd=project))
    assert [image["blueprint"] for image in made["images"]] == ["web", "web"]


def test_the_name_of_images_is_the_projects(project: Path) -> None:
    def filename(*arguments: str, **environment: str) -> str:
        document = json.loads(fine("render", "../web.yaml", *arguments, cwd=project, **environment))
        return str(document["assembler"]["options"]["filename"])

    assert filename("--profile", "dev") == "web-dev-1.2.tar"
    assert filename("--profile", "dev", COMPOSE_NAME="${distro}") == "debian-12.tar"
    assert filename("--profile", "dev", "--profile", "prod") == "web-dev-prod-1.2.tar"


def test_render_takes_one_profile(project: Path) -> None:
    wrong(compose("render", "../web.yaml", cwd=project), "this takes one profile at a time, not dev, prod")


def test_the_store_is_the_projects(project: Path) -> None:
    wrong(compose("cache", "ls", cwd=project), ".store does not exist")
    pipeline = json.dumps({"stages": [{"name": "org.osbuild.noop", "options": {}}]})
    fine("run", "-", cwd=project, stdin=pipeline)
    assert (project.parent / ".store" / "layers").is_dir()
    assert (project.parent / "out").is_dir()


def test_without_a_blueprint(tmp_path: Path) -> None:
    wrong(compose("build", cwd=tmp_path), "list them under `blueprints` in compose.yaml")


def test_an_error_in_the_project(project: Path) -> None:
    (project.parent / "compose.yaml").write_text("store: [a]\n")
    wrong(compose("build", cwd=project), "compose.yaml:1:8: error: `store` must be text, not a list")
    done = compose("build", "--json", cwd=project)
    assert done.returncode == 2
    assert json.loads(done.stdout)["success"] is False
