"""Distributions are directories: the built-in ones, a user's own, and ones that inherit."""

from pathlib import Path

import pytest

from osbuild_compose.distro import catalog
from osbuild_compose.errors import ComposeError, InputError, TemplateError

LAB = """\
inherits: debian
title: Lab
architectures: {x86_64: {kernel: linux-image-amd64}}
releases:
  lab-1: {inherits: debian-12, title: Lab 1, packages: [lab-tools]}
"""


def directory(tmp_path: Path, text: str, name: str = "lab") -> Path:
    (tmp_path / name).mkdir()
    (tmp_path / name / "distro.yaml").write_text(text)
    return tmp_path


def test_built_in() -> None:
    releases = catalog.find().releases
    assert {"debian-12", "debian-13"} <= set(releases)
    for release in map(catalog.find().release, releases):
        assert release.repositories
        assert all("-----BEGIN PGP PUBLIC KEY BLOCK-----" in key for item in release.repositories for key in item.keys)


def test_a_derivative_in_a_few_lines(tmp_path: Path) -> None:
    found = catalog.find([directory(tmp_path, LAB)]).releases
    lab, debian = found["lab-1"], found["debian-12"]
    assert lab.repositories == debian.repositories
    assert lab.packages == (*debian.packages, "lab-tools")
    assert lab.architectures["x86_64"].kernel == "linux-image-amd64"
    assert lab.architectures["x86_64"].bootloader == debian.architectures["x86_64"].bootloader
    assert lab.template == debian.template == "debian/pipeline.yaml.j2"
    assert debian.architectures["x86_64"].kernel == "linux-image-cloud-amd64"


def test_a_derivative_with_a_template_of_its_own(tmp_path: Path) -> None:
    (directory(tmp_path, LAB) / "lab/pipeline.yaml.j2").write_text("")
    assert catalog.find([tmp_path]).releases["lab-1"].template == "lab/pipeline.yaml.j2"


def test_ones_own_replaces_the_built_in(tmp_path: Path) -> None:
    text = (catalog.built_in() / "debian/distro.yaml").read_text().replace("Debian 12 (bookworm)", "Mine")
    own = directory(tmp_path, text, "debian")
    (own / "debian/keys").symlink_to(catalog.built_in() / "debian/keys")
    assert catalog.find([own]).releases["debian-12"].title == "Mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not valid YAML"),
        ("[]", "must be a mapping"),
        ("title: X\n", "lacks the key `architectures`"),
        (LAB + "colour: red\n", "unknown key `colour`"),
        (LAB.replace("inherits: debian\n", "inherits: nobody\n"), "there is no nobody/distro.yaml"),
        (LAB.replace("inherits: debian\n", "inherits: lab\n"), "inherits itself"),
        (LAB.replace("inherits: debian-12, ", ""), "lacks the key `repositories`"),
    ],
)
def test_wrong_distro_yaml(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        catalog.find([directory(tmp_path, text)])
    errors: tuple[ComposeError, ...] = caught.value.each()
    assert any(message in error.brief for error in errors), [error.brief for error in errors]


def test_templates_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no directory"):
        catalog.find([tmp_path / "gone"])
