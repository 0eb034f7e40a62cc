"""The mirror of this machine's own apt is found in both forms of source lists, those of other archives are not."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from osbuild_compose.distro import mirrors
from osbuild_compose.distro.family import host_apt
from osbuild_compose.distro.family.deb import DebFamily
from osbuild_compose.distro.family.host_apt import HostApt
from osbuild_compose.distro.family.protocol import Archive
from osbuild_compose.distro.mirrors import Mirrors
from osbuild_compose.distro.repository import DebRepository, Role
from osbuild_compose.errors import InputError

DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian/
# http://old.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main
"""


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "apt.conf").write_text(f'Dir::Etc "{tmp_path}/etc/apt/";\n')
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))


def machine(root: Path, name: str, sources: str, conf: str = "") -> HostApt:
    directory = root / "etc/apt/sources.list.d"
    directory.mkdir(parents=True)
    (directory.parent / "apt.conf.d").mkdir()
    (directory.parent / "apt.conf.d/99test").write_text(conf)
    (directory.parent / name).write_text(sources)
    return host_apt.read(["bookworm", "trixie"], "debian-archive", root)


def test_deb822(tmp_path: Path) -> None:
    found = machine(tmp_path, "sources.list.d/debian.sources", DEB822)
    assert found == HostApt("http://mirror.example/debian", "http://mirror.example/debian-security", True)


def test_one_line(tmp_path: Path) -> None:
    lines = (
        "deb-src http://s.example/debian trixie main\n"
        "deb [arch=amd64 check-valid-until=no] http://a.example/d trixie main # x\n"
    )
    assert machine(tmp_path, "sources.list", lines) == HostApt("http://a.example/d", None, False)


@pytest.mark.parametrize(
    "source",
    [
        "Types: deb\nURIs: http://u.example/ubuntu\nSuites: noble\nComponents: main\n",
        "Types: deb\nURIs: http://t.example/debian\nSuites: bookworm\nComponents: main\nSigned-By: /tool.gpg\n",
        "Types: deb\nURIs: http://t.example/debian\nSuites: bookworm\nComponents: stable\n",
        "Types: deb\nURIs: http://t.example/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n",
        "Types: deb\nURIs: cdrom:[Debian]/\nSuites: bookworm\nComponents: main\n",
        "Types: deb-src\nURIs: http://t.example/debian\nSuites: bookworm\nComponents: main\n",
        "Types: deb\nURIs: http://t.example/debian\nSuites: bookworm-backports\nComponents: main\n",
        " broken\n: :\n",
    ],
)
def test_not_debians_own(tmp_path: Path, source: str) -> None:
    assert machine(tmp_path, "sources.list.d/x.sources", source) == HostApt()


def test_disabled_by_name(tmp_path: Path) -> None:
    assert machine(tmp_path, "sources.list.d/debian.sources.off", DEB822) == HostApt()


@pytest.mark.parametrize("conf", ['Acquire::Check-Valid-Until "false";', 'Acquire { Check-Valid-Until "no"; };'])
def test_apts_own_setting(tmp_path: Path, conf: str) -> None:
    assert machine(tmp_path, "sources.list.d/debian.sources", DEB822, conf).check_valid_until is False


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ('APT::Install-Recommends "false";', False),
        ('Acquire::Check-Valid-Until "false";', True),
        ('acquire { check-valid-until "no"; };', True),
        ('#include "/somewhere/else";', True),
        ('Dir::Etc::parts "/elsewhere";', True),
        ('Dir { Etc { parts "/elsewhere"; }; };', True),
    ],
)
def test_apt_config_is_asked_only_if_a_file_can_contain_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, conf: str, expected: bool
) -> None:
    monkeypatch.delenv("APT_CONFIG")
    asked: list[object] = []

    def run(argv: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        asked.append(argv[0])
        return subprocess.CompletedProcess(argv, 0, "VALUE='false'\n", "")

    monkeypatch.setattr(subprocess, "run", run)
    found = machine(tmp_path, "sources.list.d/debian.sources", DEB822, conf)
    assert asked == (["apt-config"] if expected else [])
    assert found.check_valid_until is not expected


def test_no_apt_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert host_apt.read(["bookworm"], "debian-archive", tmp_path) == HostApt()


def repository(name: str, role: Role, archive: str | None = "debian") -> DebRepository:
    return DebRepository(
        f"http://official.example/{name}", ("bookworm",), ("main",), ("k",), role=role, archive=archive
    )


REPOSITORIES = (
    repository("debian", Role.MAIN),
    repository("security", Role.SECURITY),
    repository("other", Role.OTHER),
    repository("own", Role.MAIN, None),
    repository("updates", Role.SECURITY, None),
)
ARCHIVES = {"debian": Archive(is_default=True, suites=("sid", "trixie"), keyring="debian-archive")}


@pytest.mark.parametrize(
    ("asked", "host", "expected"),
    [
        (Mirrors(), HostApt(), [("official.example/debian", True), ("official.example/security", True)]),
        (Mirrors(), HostApt("http://h/d", "http://h/s"), [("h/d", True), ("h/s", True)]),
        (Mirrors(), HostApt("http://h/d", None, False), [("h/d", False), ("official.example/security", True)]),
        (Mirrors("http://m/d"), HostApt("http://h/d", "http://h/s"), [("m/d", True), ("h/s", True)]),
        (Mirrors("http://m/d", "http://m/s"), HostApt("http://h/d", "http://h/s"), [("m/d", True), ("m/s", True)]),
    ],
)
def test_order_of_mirrors(asked: Mirrors, host: HostApt, expected: list[tuple[str, bool]]) -> None:
    found = DebFamily().mirrored(REPOSITORIES, ARCHIVES, asked, lambda *_: host)
    read = [
        (item.url.removeprefix("http://"), item.check_valid_until) for item in found if isinstance(item, DebRepository)
    ]
    assert read[:2] == expected
    assert found[2:] == REPOSITORIES[2:]


def test_the_machine_is_asked_once_for_an_archive_by_all_its_suites() -> None:
    asked = []

    def read(suites: Sequence[str], keyring: str) -> HostApt:
        asked.append((suites, keyring))
        return HostApt()

    DebFamily().mirrored(REPOSITORIES, ARCHIVES, Mirrors(), read)
    assert asked == [(["bookworm", "sid", "trixie"], "debian-archive")]


def test_mirrors_of_an_archive_that_is_named() -> None:
    archives = {**ARCHIVES, "lab": Archive(suites=("stable",), keyring="lab-archive")}
    own = (repository("lab", Role.MAIN, "lab"), repository("lab-updates", Role.SECURITY, "lab"), *REPOSITORIES)

    def urls(asked: Mirrors, host: HostApt | None = None) -> list[str]:
        hosts = {"lab-archive": host or HostApt()}
        found = DebFamily().mirrored(own, archives, asked, lambda _, keyring: hosts.get(keyring, HostApt()))
        return [item.url.removeprefix("http://") for item in found if isinstance(item, DebRepository)]

    official = [item.url.removeprefix("http://") for item in own]
    asked = mirrors.asked_for("lab=http://m/lab/", None, {})
    assert asked == Mirrors(None, None, {"lab": Mirrors("http://m/lab")})
    assert urls(asked) == ["m/lab", *official[1:]]
    assert urls(mirrors.asked_for("http://m/debian", "lab=http://m/s", {})) == [
        official[0],
        "m/s",
        "m/debian",
        *official[3:],
    ]
    both = mirrors.asked_for(None, None, {"COMPOSE_MIRROR": "http://m/debian lab=http://m/lab"})
    assert urls(both) == ["m/lab", official[1], "m/debian", *official[3:]]
    assert urls(Mirrors(), HostApt("http://h/lab")) == ["h/lab", *official[1:]]


def test_mirrors_of_the_environment() -> None:
    environment = {"COMPOSE_MIRROR": "http://e/", "COMPOSE_SECURITY_MIRROR": ""}
    assert mirrors.asked_for(None, None, environment) == Mirrors("http://e", None)
    assert mirrors.asked_for("http://o", "http://s", environment) == Mirrors("http://o", "http://s")


@pytest.mark.parametrize(
    ("option", "variable"), [("ftp://a", ""), (None, "mirror"), ("lab=ftp://a", ""), ("LAB=http://a", "")]
)
def test_a_mirror_that_is_no_address(option: str | None, variable: str) -> None:
    with pytest.raises(InputError, match="is not an address"):
        mirrors.asked_for(option, None, {"COMPOSE_MIRROR": variable})
