"""What a distribution cannot do is told with what is wrong, unless it may follow from that."""

from pathlib import Path

import pytest

from osbuild_compose.errors import InputError
from osbuild_compose.project import Project

WRONG = "selinux: enforcing\nsshd: {port: [22]}\n"  # on Debian, the second one without a server


def told(tmp_path: Path, text: str, **more: list[str]) -> set[str]:
    """The keys that errors are about."""
    path = tmp_path / "web.yaml"
    path.write_text(f"name: web\n{text}")
    with pytest.raises(InputError) as caught:
        Project(**more).images([path], ())  # type: ignore[arg-type]
    return {error.path.split(".")[0] for error in caught.value.each()}


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("distro: debian-12\ntimezone: 5\n", {"timezone", "selinux", "sshd"}),
        ("distro: debian-12\npackages: 5\n", {"packages", "selinux"}),
        ("distro: debian-12\npakages: [openssh-server]\n", {"pakages", "selinux"}),
        ("distro: debian-12\nqqqq: [openssh-server]\n", {"qqqq"}),  # whatever was meant
        ("distro: debain-12\ntimezone: 5\n", {"distro", "timezone"}),
        ("distro: debian-12\nhostname: ${a}\n", {"hostname", "selinux", "sshd"}),
        ("distro: debian-12\nvars: {a: [1]}\n", {"vars"}),
        ("distro: debian-12\npackages: [5, openssh-server]\ntimezone: 5\n", {"packages", "timezone", "selinux"}),
        ("distro: fedora-43\ntimezone: 5\narch: aarch64\n", {"timezone", "arch"}),
    ],
)
def test_beside_what_is_wrong(tmp_path: Path, text: str, keys: set[str]) -> None:
    assert told(tmp_path, text + WRONG) == keys


def test_what_is_wrong_in_a_profile_is_of_its_key(tmp_path: Path) -> None:
    text = "distro: debian-12\nprofiles: {dev: {packages: 5}}\n" + WRONG
    assert told(tmp_path, text) == {"profiles", "selinux"}


def test_a_name_that_is_wrong_is_no_reason_to_keep_quiet(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("name: 5\ndistro: debian-12\n" + WRONG)
    with pytest.raises(InputError) as caught:
        Project().images([tmp_path / "web.yaml"], ())
    assert {error.path for error in caught.value.each()} == {"name", "selinux", "sshd"}


def test_all_of_several_blueprints_is_told(tmp_path: Path) -> None:
    for name, text in (("a", "timezone: 5\n"), ("b", WRONG), ("c", "hostname: fine\n")):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\ndistro: debian-12\n{text}")
    with pytest.raises(InputError) as caught:
        Project().images([tmp_path / f"{name}.yaml" for name in "abc"], ())
    assert [error.path for error in caught.value.each()] == ["timezone", "selinux", "sshd"]
