"""What image files are called."""

from dataclasses import replace

import pytest

from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.compile import file_names
from osbuild_compose.errors import InputError
from osbuild_compose.project import Project

WEB = "name: web\ndistro: debian-12\nformats: [qcow2]\nprofiles: {dev: {}, big: {}}\n"


def blueprint(**fields: str) -> Blueprint:
    return replace(Project().load_text(WEB), **fields)


@pytest.mark.parametrize(
    ("pattern", "version", "profiles", "name"),
    [
        (None, None, (), "web"),
        (None, "1.2", (), "web"),
        (None, None, ("dev",), "web-dev"),
        (None, None, ("dev", "big"), "web-dev-big"),
        ("${name}-${profile}-${version}", "1.2", ("dev",), "web-dev-1.2"),
        ("${name}-${profile}-${version}", "1.2", (), "web-1.2"),
        ("${name}-${profile}-${version}", None, (), "web"),
        ("${distro}_${arch}", None, (), "debian-12_x86_64"),
        ("image", None, ("dev",), "image"),
    ],
)
def test_names(pattern: str | None, version: str | None, profiles: tuple[str, ...], name: str) -> None:
    assert file_names.of_images(pattern, blueprint(version=version), profiles) == name


def test_a_profile_is_not_in_the_name_twice() -> None:
    assert file_names.of_images(None, blueprint(name="web-dev"), ["dev"]) == "web-dev"


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("${nam}", "there is no variable `nam`"),
        ("${version}", "gives ''"),
        ("dir/${name}", "gives 'dir/web'"),
        ("..", "gives '..'"),
        ("${name", "gives '${name'"),
        ("x" * 201, "gives 'xxx"),
    ],
)
def test_wrong_names(pattern: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason.replace("$", r"\$").replace("{", r"\{")):
        file_names.of_images(pattern, blueprint(), [])


def test_the_images_of_two_profiles_have_two_names() -> None:
    names = []
    for profile in ("dev", "big"):
        project = Project(profiles=[profile])
        names += project.image(project.load_text(WEB), embed_provenance=False).filenames
    assert names == ["web-dev.qcow2", "web-big.qcow2"]
