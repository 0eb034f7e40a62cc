"""Package families: a derivative with its own archive, a family that only data describes, and who may ask for one."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from osbuild_compose.distro import catalog
from osbuild_compose.distro.family import host_apt
from osbuild_compose.distro.family.host_apt import HostApt
from osbuild_compose.distro.repository import DebRepository, NamedRepository
from osbuild_compose.errors import InputError, TemplateError
from osbuild_compose.project import Project
from tests.conftest import REPO

TEMPLATES = REPO / "tests/templates"
GPGV = {"deb": "gpgv", "rpm": "gnupg2"}
DERIVATIVE, PARCEL = TEMPLATES / "derivative", TEMPLATES / "parcel"
LIBDIR = TEMPLATES / "parcel-lib"


@pytest.fixture(autouse=True)
def no_mirrors_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COMPOSE_MIRROR", "COMPOSE_SECURITY_MIRROR"):
        monkeypatch.delenv(name, raising=False)


def rendered(tmp_path: Path, text: str, **chosen: Any) -> dict[str, Any]:
    """The pipeline of a blueprint."""
    (tmp_path / "b.yaml").write_text(text)
    project = Project(templates=[DERIVATIVE, PARCEL], libdirs=[LIBDIR], **chosen)
    document: dict[str, Any] = json.loads(project.image(project.load(tmp_path / "b.yaml")).pipeline)
    return document


def urls(document: dict[str, Any]) -> list[list[str]]:
    """The addresses of the repositories of each stage that runs apt."""
    stages = [stage for stage in document["stages"] if stage["name"] == "org.osbuild-compose.apt"]
    return [[item["url"] for item in stage["options"]["repositories"]] for stage in stages]


@pytest.fixture
def debian_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose apt has Debian's sources with a mirror."""

    def read(suites: object, keyring: str = "", root: object = None) -> HostApt:
        del suites, root
        return HostApt("http://host.example/debian", "http://host.example/sec") if "debian" in keyring else HostApt()

    monkeypatch.setattr(host_apt, "read", read)


OFFICIAL = ["http://archive.tin.example/tin", "http://security.tin.example/tin"]
DEBIAN_MIRRORS: list[tuple[dict[str, str], dict[str, str]]] = [
    ({}, {}),
    ({"mirror": "http://m.example/debian"}, {}),
    ({"mirror": "http://m.example/debian", "security_mirror": "http://m.example/sec"}, {}),
    ({}, {"COMPOSE_MIRROR": "http://m.example/debian", "COMPOSE_SECURITY_MIRROR": "http://m.example/sec"}),
]


@pytest.mark.usefixtures("debian_host")
@pytest.mark.parametrize(("chosen", "environment"), DEBIAN_MIRRORS)
@pytest.mark.parametrize(("release", "official"), [("tin-1", OFFICIAL), ("tin-2", OFFICIAL[:1])])
def test_a_derivative_with_its_own_archive_is_never_read_from_another_ones_mirror(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    release: str,
    official: list[str],
    chosen: dict[str, str],
    environment: dict[str, str],
) -> None:
    for name in ("COMPOSE_MIRROR", "COMPOSE_SECURITY_MIRROR"):
        monkeypatch.setenv(name, environment.get(name, ""))
    document = rendered(tmp_path, f"name: a\ndistro: {release}\npackages: [nginx]\n", **chosen)
    assert urls(document) == [official, official]
    assert "host.example" not in json.dumps(document)
    assert "m.example" not in json.dumps(document)
    # Debian itself is.
    document = rendered(tmp_path, "name: a\ndistro: debian-13\n", **chosen)
    assert urls(document)[0][0] == (
        "http://m.example/debian" if chosen or environment else "http://host.example/debian"
    )


def test_a_derivative_is_read_from_the_mirror_of_its_archive(tmp_path: Path) -> None:
    text = "name: a\ndistro: tin-1\n"
    document = rendered(tmp_path, text, mirror="http://m.example/debian tin=http://m.example/tin/")
    assert urls(document) == [["http://m.example/tin", OFFICIAL[1]]]
    document = rendered(tmp_path, text, security_mirror="tin=http://m.example/sec")
    assert urls(document) == [[OFFICIAL[0], "http://m.example/sec"]]


def test_a_machine_of_the_derivative_is_a_mirror_of_its_archive_alone(tmp_path: Path) -> None:
    sources = tmp_path / "etc/apt/sources.list.d"
    sources.mkdir(parents=True)
    (sources / "tin.sources").write_text(
        "Types: deb\nURIs: http://near.example/tin\nSuites: forge\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/tin-archive-keyring.gpg\n"
    )
    found = catalog.find([DERIVATIVE])
    for name, expected in (("tin-1", "http://near.example/tin"), ("debian-12", "http://ftp.debian.org/debian")):
        release = found.releases[name]
        archive = release.archives[release.repositories[0].archive or ""]
        host = host_apt.read(archive.suites, archive.keyring, tmp_path)
        assert (host.main or release.repositories[0].url) == expected  # type: ignore[union-attr]


def test_a_build_root_of_the_derivative_is_from_its_archive(tmp_path: Path) -> None:
    text = "name: a\ndistro: debian-12\nbuild_environment: {from: tin-1}\n"
    document = rendered(tmp_path, text, mirror="http://m.example/debian")
    assert urls(document)[0][0] == "http://m.example/debian"
    assert urls(document["build"]["pipeline"]) == [OFFICIAL]


def test_a_mirror_that_names_its_archive_is_for_the_build_root_of_another_family_too(tmp_path: Path) -> None:
    text = "name: a\ndistro: fedora-43\nbuild_environment: {from: debian-13}\n"
    mirror = "http://m.example/fedora debian=http://m.example/debian"
    document = rendered(tmp_path, text, mirror=mirror)
    assert urls(document["build"]["pipeline"])[0][0] == "http://m.example/debian"
    base = document["stages"][0]["options"]["repos"]
    assert base[0]["baseurl"] == "http://m.example/fedora/releases/$releasever/Everything/$basearch/os"


def test_a_family_that_only_data_describes(tmp_path: Path) -> None:
    release = catalog.find([PARCEL]).release("parcel-1")
    assert (release.family.name, release.family.stage) == ("parcel", "org.example.parcel")
    official = ["http://parcels.example/parcels"]
    assert release.repositories == (NamedRepository("parcels", baseurl=official[0], path="parcels"),)
    text = "name: a\ndistro: parcel-1\npackages: [editor]\nformats: [tar]\n"
    base, packages = rendered(tmp_path, text)["stages"][:2]
    assert base == {"name": "org.example.parcel", "options": {"repositories": official, "packages": ["base", "shell"]}}
    assert packages["options"] == {"repositories": official, "packages": ["editor"]}
    mirrored = rendered(tmp_path, text, mirror="http://m.example")["stages"][0]["options"]
    assert mirrored["repositories"] == ["http://m.example/parcels"]
    instead = rendered(tmp_path, text, repos=["here=http://127.0.0.1:8/p"])["stages"][0]["options"]
    assert instead["repositories"] == ["http://127.0.0.1:8/p"]
    own = "repositories: [default, {id: own, baseurl: 'http://own.example'}]\n"
    stages = rendered(tmp_path, text + own)["stages"]
    assert [stage["options"]["repositories"] for stage in stages[:2]] == [official, [*official, "http://own.example"]]


def test_keys_of_another_kind_are_for_the_stage(tmp_path: Path) -> None:
    text = "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----\n"
    (tmp_path / "parcel").mkdir()
    (tmp_path / "parcel/rsa.pub").write_text(text)
    distro = (PARCEL / "parcel/distro.yaml").read_text()
    keys = f"    path: parcels\n    keys: [rsa.pub, {json.dumps(text)}]\n"
    (tmp_path / "parcel/distro.yaml").write_text(distro.replace("    path: parcels\n", keys))
    assert catalog.find([tmp_path]).release("parcel-1").repositories[0].keys == (text, text)


def test_the_build_root_of_such_a_family_has_its_names_of_packages(tmp_path: Path) -> None:
    text = "name: a\ndistro: debian-12\nbuild_environment: {from: parcel-1}\n"
    (stage,) = rendered(tmp_path, text)["build"]["pipeline"]["stages"]
    assert stage["name"] == "org.example.parcel"
    assert {"base", "python", "apt", "dpkg"} <= set(stage["options"]["packages"])
    family = catalog.find([PARCEL]).releases["parcel-1"].family
    assert family.packages_with({"mke2fs": "e2fsprogs", "gpgv": GPGV, "x|y": {"deb": "z", "parcel": "xy"}}) == (
        "disk-tools",
        "gpgv",
        "xy",
    )


@pytest.mark.parametrize(
    ("text", "chosen", "message"),
    [
        (
            "repositories: [{url: 'http://a.example', suites: [s]}]\n",
            {},
            "parcel-1 takes packages from parcel repositories",
        ),
        ("", {"security_mirror": "http://m.example"}, "parcel-1 has no mirrors of its own for security updates"),
        ("enabled_modules: [{name: a, stream: '1'}]\n", {}, "does not support `enabled_modules`"),
    ],
)
def test_what_such_a_family_cannot_do(tmp_path: Path, text: str, chosen: dict[str, str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        rendered(tmp_path, f"name: a\ndistro: parcel-1\nformats: [tar]\n{text}", **chosen)
    assert message in caught.value.brief


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  stage: org.example.parcel\n", "", "lacks the key `stage`"),
        ("family:\n", "family: pacman\nother:\n", "`family`"),
        ("  signed: false\n", "", "`parcel-1` has a repository without `keys`"),
        ("    path: parcels\n", "    archive: parcel\n", "of the archive parcel, which `archives` lacks"),
        (
            "id: parcels\n    baseurl: ",
            "role: main\n    suites: [a]\n    url: ",
            "of another form than its family, parcel",
        ),
    ],
)
def test_a_wrong_description_of_a_family(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (PARCEL / "parcel/distro.yaml").read_text()
    assert old in text
    text = text.replace(old, new).replace("    path: parcels\n", "" if "role" in new else "    path: parcels\n")
    (tmp_path / "parcel").mkdir()
    (tmp_path / "parcel/distro.yaml").write_text(text)
    with pytest.raises(TemplateError) as caught:
        catalog.find([tmp_path]).releases["parcel-1"]
    assert any(message in error.brief for error in caught.value.each()), [e.brief for e in caught.value.each()]


# Questions about the family of packages that only distro/family/ may answer.
QUESTION = re.compile(r"(?i)\b(is|has|uses|takes)_?(rpms?|debs?|apt|dnf|debian|fedora)\b")
FORMS = {DebRepository.__name__, NamedRepository.__name__}


def test_no_other_code_asks_which_family_it_is() -> None:
    wrong = []
    for path in sorted((REPO / "osbuild_compose").rglob("*.py")):
        name = str(path.relative_to(REPO / "osbuild_compose"))
        if name.startswith("distro/family/"):
            continue
        text = path.read_text()
        wrong += [f"{name}: {match[0]}" for match in QUESTION.finditer(text)]
        for node in ast.walk(ast.parse(text)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("isinstance", "type")
            ):
                asked = {item.id for item in ast.walk(node) if isinstance(item, ast.Name)}
                wrong += [f"{name}:{node.lineno}: {ast.unparse(node)}"] * bool(asked & FORMS)
            if isinstance(node, ast.Compare):
                sides = ast.unparse(node)
                wrong += [f"{name}:{node.lineno}: {sides}"] * bool(re.search(r"\.family(\.name)? (==|is|in) ", sides))
    assert wrong == []
