"""compose.yaml, the environment in its place, and several profiles."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from osbuild_compose import project_file, variants
from osbuild_compose.errors import ComposeError
from osbuild_compose.project import Project
from osbuild_compose.project_file import ProjectFile
from tests.conftest import REPO

WHOLE = """\
blueprints: [web.yaml, images/*.yaml]
templates: [templates]
libdirs: [lib]
store: .store
mirror: http://mirror.test/debian
security_mirror: http://mirror.test/security
profiles: [dev, prod]
output: {directory: build, name: "${name}-${profile}"}
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("b", "a"):
        (tmp_path / "images" / f"{name}.yaml").touch()
    monkeypatch.chdir(tmp_path / "images")
    return tmp_path


def found(**environment: str) -> ProjectFile:
    return project_file.find(Path.cwd(), environment)


def test_the_file_of_a_directory_above(place: Path) -> None:
    (place / "compose.yaml").write_text(WHOLE)
    up = Path("..")
    assert found() == ProjectFile(
        file=place / "compose.yaml",
        blueprints=(up / "web.yaml", up / "images/a.yaml", up / "images/b.yaml"),
        templates=(up / "templates",),
        libdirs=(up / "lib",),
        store=up / ".store",
        mirror="http://mirror.test/debian",
        security_mirror="http://mirror.test/security",
        profiles=("dev", "prod"),
        directory=up / "build",
        file_name="${name}-${profile}",
    )


def test_the_nearest_file_counts_alone(place: Path) -> None:
    (place / "compose.yaml").write_text(WHOLE)
    Path("compose.yaml").write_text("store: mine\n")
    assert found() == ProjectFile(file=place / "images/compose.yaml", store=Path("mine"))


def test_the_environment_comes_before_the_file(place: Path) -> None:
    (place / "compose.yaml").write_text(WHOLE)
    environment = {
        "COMPOSE_BLUEPRINTS": "a.yaml:b.yaml",
        "COMPOSE_TEMPLATES": "t",
        "COMPOSE_LIBDIRS": "l",
        "COMPOSE_STORE": "/s",
        "COMPOSE_PROFILES": "one,two",
        "COMPOSE_OUTPUT": "o",
        "COMPOSE_NAME": "n",
    }
    assert found(**environment) == replace(
        found(),
        blueprints=(Path("a.yaml"), Path("b.yaml")),
        templates=(Path("t"),),
        libdirs=(Path("l"),),
        store=Path("/s"),
        profiles=("one", "two"),
        directory=Path("o"),
        file_name="n",
    )
    assert found(COMPOSE_MIRROR="http://other.test").mirror is None  # the environment's is used where packages are
    assert found(**dict.fromkeys(environment, "")) == found()


def test_without_a_file() -> None:
    assert found() == ProjectFile()


def test_a_file_of_docker_compose_is_another_thing(place: Path) -> None:
    (place / "compose.yaml").write_text("services: {web: {image: nginx}}\n")
    assert found() == ProjectFile()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("store: 5", "1:8: `store` must be text, not a number"),
        ("stor: x", "1:1: unknown key `stor`"),
        ("[a]", "1:1: a project must be a mapping: lines of the form key: value"),
        ("mirror: ftp://x", '1:9: `mirror`: "ftp://x" must be an address that begins with http:// or https://'),
        ("blueprints: [none/*.yaml]", "1:14: no file matches none/*.yaml"),
        ("blueprints: ['a**b.yaml']", "1:14: a**b.yaml is not a pattern"),
        ("output: {name: 5}", "1:16: `name` must be text, not a number"),
        ("output: {name: '${nam}'}", "1:16: the name of image files ${nam}: there is no variable `nam`"),
        ("output: {name: ../a}", "1:16: the name of image files ../a gives '../a'"),
        ("profiles: ['a,b']", '1:12: an item of `profiles`: "a,b" must be the name of one profile'),
    ],
)
def test_wrong_files(place: Path, text: str, error: str) -> None:
    (place / "compose.yaml").write_text(text)
    with pytest.raises(ComposeError) as caught:
        found()
    assert f"{caught.value.location}: {caught.value.brief}".startswith(f"{place}/compose.yaml:{error}")


def test_an_empty_file_is_not_taken_for_a_blueprint(place: Path) -> None:
    (place / "compose.yaml").touch()
    with pytest.raises(ComposeError) as caught:
        found()
    assert caught.value.brief == "the file is empty"
    assert "init" not in caught.value.hint
    assert "blueprints: [" in caught.value.hint


def test_a_directory_of_that_name(place: Path) -> None:
    (place / "compose.yaml").mkdir()
    with pytest.raises(ComposeError, match="is a directory") as caught:
        found()
    assert "rename it" in caught.value.hint


@pytest.mark.parametrize(("target", "reason"), [("nowhere", "No such file"), ("compose.yaml", "Too many levels")])
def test_a_link_to_nothing(place: Path, target: str, reason: str) -> None:
    (place / "compose.yaml").symlink_to(target)
    with pytest.raises(ComposeError, match=rf"cannot read .*compose\.yaml: {reason}"):
        found()


def test_a_pattern_does_not_match_the_project_itself(place: Path) -> None:
    (place / "web.yaml").touch()
    (place / "compose.yaml").write_text("blueprints: ['*.yaml']\n")
    assert found().blueprints == (Path("../web.yaml"),)


def test_an_absolute_pattern(place: Path) -> None:
    Path("compose.yaml").write_text(f"blueprints: ['/{place}/images/?.yaml']\n")
    assert found().blueprints == (place / "images/a.yaml", place / "images/b.yaml")


def test_a_directory_that_is_removed_while_it_is_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    def glob(_: Path, __: str) -> object:
        raise FileNotFoundError(2, "No such file or directory", "/gone")

    monkeypatch.setattr(Path, "glob", glob)
    Path("compose.yaml").write_text("blueprints: ['**/*.yaml']\n")
    with pytest.raises(ComposeError, match=r"cannot look for \*\*/\*\.yaml: /gone: No such file"):
        found()


def test_patterns_in_the_environment() -> None:
    Path("compose.yaml").write_text("store: x\n")
    assert found(COMPOSE_BLUEPRINTS="b.yaml:*.yaml").blueprints == (Path("b.yaml"), Path("a.yaml"))
    with pytest.raises(ComposeError, match=r"COMPOSE_BLUEPRINTS: no file matches c\*\.yaml"):
        found(COMPOSE_BLUEPRINTS="c*.yaml")


@pytest.mark.parametrize("look", ["stat", "lstat"])
def test_the_file_or_link_of_another_user_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch, look: str) -> None:
    (place / "own.yaml").write_text(WHOLE)
    (place / "compose.yaml").symlink_to("own.yaml")
    owned = os.stat_result((0o644, 0, 0, 1, 54321, 54321, 0, 0, 0, 0))
    monkeypatch.setattr(Path, look, lambda _, **_options: owned)
    with pytest.raises(ComposeError, match="belongs to another user"):
        found()


@pytest.mark.parametrize(
    ("options", "choices"),
    [
        ([], [()]),
        (["dev"], [("dev",)]),
        (["dev", "big"], [("dev", "big")]),
        (["dev,prod"], [("dev",), ("prod",)]),
        (["base", "dev,prod"], [("base", "dev"), ("base", "prod")]),
    ],
)
def test_choices_of_profiles(options: list[str], choices: list[tuple[str, ...]]) -> None:
    assert variants.choices(options) == choices


def test_a_profile_that_is_named_twice() -> None:
    with pytest.raises(ComposeError, match="--profile dev,big,dev has dev twice"):
        variants.choices(["dev,big,dev"])


@pytest.mark.parametrize("option", ["", "dev,", ",dev", "a,,b"])
def test_a_profile_without_a_name(option: str) -> None:
    with pytest.raises(ComposeError, match=f"--profile {re.escape(option)}: a name is missing"):
        variants.choices([option])


def test_an_error_of_all_variants_is_told_once() -> None:
    Path("web.yaml").write_text("name: web\ndistro: debian-12\nformats: [tar]\nport: 1\nprofiles: {a: {}, b: {}}\n")
    with pytest.raises(ComposeError) as caught:
        variants.images([Project(profiles=["a"]), Project(profiles=["b"])], [Path("web.yaml")])
    assert len(caught.value.each()) == 1


def test_images_of_one_name_are_an_error() -> None:
    Path("web.yaml").write_text("name: web\ndistro: debian-12\nformats: [tar]\nprofiles: {a: {}, b: {}}\n")
    projects = [Project(profiles=[name], file_name="${name}") for name in "ab"]
    with pytest.raises(ComposeError, match=r"two images of web\.yaml would be web\.tar"):
        variants.images(projects, [Path("web.yaml")], embed_provenance=False)


def test_the_page_has_every_key() -> None:
    page = (REPO / "docs/how-to/project.md").read_text()
    for key in project_file.ProjectFile.__dataclass_fields__.keys() - {"file", "directory", "file_name"}:
        assert f"| `{key}` | `COMPOSE_{key.upper()}` |" in page
