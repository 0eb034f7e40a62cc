"""The root that a blueprint's `build_environment` asks for: which packages it has, and where they come from."""

import json
from pathlib import Path
from typing import Any

import pytest
from stagelib.disk import tools

from osbuild_compose.distro.repository import ARMOUR
from osbuild_compose.errors import InputError
from osbuild_compose.project import Project
from tests.unit.compile.compiling import CATALOG, without_provenance

# Enterprise Linux has no such packages.
ABSENT = {"btrfs-progs", "erofs-utils", "lzip"}

# Their python3 is 3.9, and stages are of 3.11.
TOO_OLD = {"almalinux-9", "centos-9", "rocky-9"}


def pipeline(tmp_path: Path, text: str, **chosen: Any) -> dict[str, Any]:
    """The pipeline of a blueprint."""
    file = tmp_path / "b.yaml"
    file.write_text(text)
    project = Project(**chosen)
    document: dict[str, Any] = json.loads(project.image(project.load(file)).pipeline)
    return document


def packages_of_tools(number: int) -> set[str]:
    """The packages of all programs that assemblers run: 0 Debian's, 1 Fedora's."""
    return {packages[number] for packages in tools.PACKAGES.values()}


@pytest.mark.parametrize("release", sorted(set(CATALOG.releases) - TOO_OLD))
def test_every_release_has_what_assemblers_run(tmp_path: Path, release: str) -> None:
    document = pipeline(tmp_path, f"name: a\ndistro: {release}\nbuild_environment: {{from: own}}\n")
    assert document["build"]["runner"] == "org.osbuild.linux"
    (stage,) = document["build"]["pipeline"]["stages"]
    assert set(document["build"]["pipeline"]) == {"name", "stages"}
    is_rpm = CATALOG.releases[release].family.name == "RPM"
    missing = packages_of_tools(is_rpm) - set(stage["options"]["packages"])
    assert missing <= (ABSENT if release.partition("-")[0] not in ("debian", "fedora") else set())
    assert {"bubblewrap", "dnf" if is_rpm else "apt"} <= set(stage["options"]["packages"])


@pytest.mark.parametrize("release", sorted(TOO_OLD))
def test_a_release_whose_python_is_too_old_is_no_build_environment(tmp_path: Path, release: str) -> None:
    with pytest.raises(InputError, match=r"stages need Python 3\.11, and its python3 is 3\.9") as caught:
        pipeline(tmp_path, f"name: a\ndistro: debian-12\nbuild_environment: {{from: {release}}}\n")
    assert str(caught.value.location).endswith("b.yaml:3:21")
    pipeline(tmp_path, f"name: a\ndistro: {release}\n")


def test_the_root_is_of_its_own_release_and_has_the_tools_of_the_images_stages(tmp_path: Path) -> None:
    text = "name: a\ndistro: fedora-43\npackages: [podman]\nbuild_environment: {from: debian-13, packages: [jq]}\n"
    text += f"containers: [{{name: c, url: 'https://a.example/c', sha256: {'a' * 64}}}]\n"
    document = pipeline(tmp_path, text, mirror="http://mirror.example/fedora")
    assert set(document) == {"pipeline", "sources"}
    (stage,) = document["pipeline"]["build"]["pipeline"]["stages"]
    assert stage["name"] == "org.osbuild-compose.apt"
    assert stage["options"]["repositories"][0]["suites"] == ["trixie", "trixie-updates"]
    assert {"dnf", "skopeo", "jq"} <= set(stage["options"]["packages"])
    assert "gpgv" not in stage["options"]["packages"]
    assert "mirror.example" not in json.dumps(stage)  # which is Fedora's


def test_the_root_of_ones_own_release_comes_from_where_the_image_does(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{ARMOUR}\n\na\n")
    chosen = {"repos": ["r=http://r.example/r"], "repo_keys": [tmp_path / "key"]}
    document = pipeline(tmp_path, "name: a\ndistro: rocky-10\nbuild_environment: {from: own}\n", **chosen)
    assert [repo["baseurl"] for repo in document["build"]["pipeline"]["stages"][0]["options"]["repos"]] == [
        "http://r.example/r"
    ]
    text = "name: a\ndistro: debian-12\nbuild_environment: {from: debian-13}\n"
    document = pipeline(tmp_path, text, mirror="http://mirror.example/debian")
    assert document["build"]["pipeline"]["stages"][0]["options"]["repositories"][0]["url"] == (
        "http://mirror.example/debian"
    )


def test_the_root_of_another_release_has_none_of_the_images_own_repositories(tmp_path: Path) -> None:
    text = "name: a\ndistro: debian-12\nrepositories: [{url: 'http://own.example', suites: [a]}]\n"
    document = pipeline(tmp_path, text + "build_environment: {from: debian-13}\n")
    assert "own.example" in json.dumps(document["stages"])
    assert "own.example" not in json.dumps(document["build"])


def test_without_it_and_with_the_host_nothing_is_said(tmp_path: Path) -> None:
    text = "name: a\ndistro: debian-12\n"
    plain = pipeline(tmp_path, text)
    assert "build" not in plain
    said = pipeline(tmp_path, text + "build_environment: {from: host}\n")
    assert without_provenance(said) == without_provenance(plain)


def test_another_format_makes_no_other_root(tmp_path: Path) -> None:
    text = "name: a\ndistro: debian-12\nbuild_environment: {from: own}\nformats: ["
    roots = [pipeline(tmp_path, f"{text}{name}]\n")["build"] for name in ("tar", "qcow2", "iso", "erofs")]
    assert all(root == roots[0] for root in roots)


@pytest.mark.parametrize(
    ("value", "place", "message"),
    [
        ("{from: debain-13}", "3:27", "unknown distro debain-13"),
        ("{from: host, packages: [jq]}", "3:44", "`packages`: with `from: host`, this machine's programs are used"),
        ("{packages: [jq]}", "3:20", "`from`"),
        ("debian-13", "3:20", "`build_environment`"),
    ],
)
def test_wrong(tmp_path: Path, value: str, place: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        pipeline(tmp_path, f"name: a\ndistro: debian-12\nbuild_environment: {value}\n")
    assert message in caught.value.brief
    assert str(caught.value.location).endswith(f"b.yaml:{place}")
