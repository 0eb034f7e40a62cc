"""Loading valid blueprints."""

import base64
import sys
from pathlib import Path

import pytest

from osbuild_compose.blueprint import load
from osbuild_compose.blueprint.formats import Format, Output
from osbuild_compose.blueprint.model import Blueprint, File, Firewall, FirewallServices, Selinux
from osbuild_compose.blueprint.values import size
from osbuild_compose.distro.repository import DebRepository, NamedRepository
from osbuild_compose.document import reader
from osbuild_compose.errors import InputError
from tests import small_key

DISTROS = ["debian-12"]
HEAD = "name: web\ndistro: debian-12\n"

# DESIGN, "A blueprint at a glance".
AT_A_GLANCE = """
name: web
distro: debian-12              # fedora-43, centos-10, rocky-9, debian-13, ...
arch: x86_64                   # osbuild's names; templates map them (amd64)
packages: [nginx, openssh-server]
hostname: web
timezone: Europe/Prague
users:
  - name: admin
    groups: [sudo]
    ssh_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEV4YW1wbGVFeGFtcGxlRXhhbXBsZUV4YW1wbGVFeGFt admin@laptop"]
services: {enabled: [nginx, ssh]}
files:
  - {path: /var/www/html/index.html, content: "hello", mode: "0644"}      # or source: page.html, beside the blueprint
kernel: {append: "console=ttyS0"}
disk: {size: 4 GiB}
formats: [qcow2]
"""


def loaded(content: str, directory: Path = Path()) -> Blueprint:
    return load.check(reader.parse(content.encode(), str(directory / "b.yaml")), DISTROS)


def test_the_example_of_the_design() -> None:
    blueprint = loaded(AT_A_GLANCE)
    assert blueprint.packages == ("nginx", "openssh-server")
    assert blueprint.users[0].groups == ("sudo",)
    assert blueprint.files == (File("/var/www/html/index.html", content="hello", mode="0644"),)
    assert blueprint.disk.size == 4 * 1024**3
    assert blueprint.formats == (Output(Format.QCOW2),)


def test_everything_has_a_default_but_name_and_distro() -> None:
    assert loaded(HEAD) == Blueprint(name="web", distro="debian-12")


def test_windows_line_ends_and_byte_order_mark() -> None:
    raw = b"\xef\xbb\xbf" + HEAD.replace("\n", "\r\n").encode()
    assert load.check(reader.parse(raw, "b.yaml"), DISTROS).name == "web"


def test_folded_text_has_its_lines_joined_by_spaces() -> None:
    blueprint = loaded(HEAD + "kernel:\n  append: >-\n    quiet\n    console=ttyS0\ndescription: >\n  Two\n  lines\n")
    assert blueprint.kernel.append == "quiet console=ttyS0"
    assert blueprint.description == "Two lines\n"


def test_anchors_work() -> None:
    blueprint = loaded(HEAD + "timeservers: &p [a, b]\npackages: *p\n")
    assert blueprint.packages == ("a", "b")
    assert loaded(HEAD + "packages: [&a b]\nexclude: [&a c, d]\n").exclude == ("c", "d")


def test_plain_scalars_are_text_where_yaml_has_exotic_types() -> None:
    assert loaded(HEAD + "description: 2020-01-01\n").description == "2020-01-01"
    assert loaded(HEAD + "description: yes\n").description == "yes"


def test_source_is_relative_to_the_blueprint(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("hello é")
    (tmp_path / "logo").write_bytes(b"\xff\x00")
    files = "files: [{path: //srv/./page, source: page.html}, {path: /srv/logo, source: logo}]\n"
    assert loaded(HEAD + files, tmp_path).files == (
        File("/srv/page", content="hello é"),
        File("/srv/logo", base64=base64.b64encode(b"\xff\x00").decode()),
    )


def test_repositories(tmp_path: Path) -> None:
    armour = small_key.TEXT
    (tmp_path / "key.asc").write_text(armour)
    text = HEAD + "repositories: [default, {url: http://a, suites: [s], keys: [key.asc], check_valid_until: false}]\n"
    repositories = loaded(text, tmp_path).repositories
    assert repositories.default
    assert repositories.own == (DebRepository("http://a", ("s",), keys=(armour,), check_valid_until=False),)
    assert not loaded(HEAD + "repositories: [{url: http://a, suites: [s]}]\n").repositories.default


def test_rpm_repositories(tmp_path: Path) -> None:
    armour = small_key.TEXT
    (tmp_path / "key.asc").write_text(armour)
    text = (
        HEAD + "repositories: [{id: a, baseurl: http://a, keys: [key.asc], priority: 3}, {id: b, metalink: http://b}]\n"
    )
    assert loaded(text, tmp_path).repositories.own == (
        NamedRepository("a", baseurl="http://a", keys=(armour,), priority=3),
        NamedRepository("b", metalink="http://b"),
    )


def test_firewall_and_selinux() -> None:
    wanted = loaded(HEAD + 'firewall: {ports: ["1:tcp"], services: {enabled: [http]}}\nselinux: permissive\n')
    assert wanted.firewall == Firewall(("1:tcp",), FirewallServices(("http",)))
    assert wanted.selinux is Selinux.PERMISSIVE
    assert loaded(HEAD + "firewall: {}\n").firewall == Firewall()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (1048576, 1048576),
        ("4 GiB", 4 * 1024**3),
        ("4GiB", 4 * 1024**3),
        ("1.5 GiB", 3 * 512 * 1024**2),
        ("4 GB", 4_000_000_000),
        ("1 TB", 10**12),
        ("2048 KiB", 2 * 1024**2),
        ("1048576 B", 1048576),
        ("4 G", 4 * 1024**3),
        ("10G", 10 * 1024**3),
        ("512m", 512 * 1024**2),
        ("2T", 2 * 1024**4),
        # The next whole sector.
        (1048577, 1049088),
        ("500 MB", 500_000_256),
        ("1.1 MB", 1_100_288),
        ("0.3 GiB", 322_122_752),
    ],
)
def test_sizes(text: int | str, expected: int) -> None:
    assert size.parse(text) == expected


@pytest.mark.parametrize("text", ["4", "4 Gb", "GiB", "", "-4 GiB", "4 XiB", "1e9 B", "99999 TiB", 0, "٤ GiB"])
def test_wrong_sizes(text: int | str) -> None:
    with pytest.raises(ValueError, match=r"."):
        size.parse(text)


@pytest.mark.parametrize("repeated", [False, True])
def test_the_work_of_checking_grows_with_the_number_of_items_and_not_its_square(repeated: bool) -> None:
    def function_calls(count: int) -> int:
        users = "".join(f"  - {{name: u{number}, uid: {10000 + number}}}\n" for number in range(count))
        files = "".join(f"  - {{path: /srv/f{number}, content: x}}\n" for number in range(count))
        again = "".join(f"  - {{path: /srv/f{number}, content: y}}\n" for number in range(count)) if repeated else ""
        document = reader.parse(f"{HEAD}users:\n{users}files:\n{files}{again}".encode(), "b.yaml")
        calls = errors = 0

        def counted(_frame: object, event: str, _argument: object) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(counted)
        try:
            load.check(document, DISTROS)
        except InputError as error:
            errors = len(error.each())
        finally:
            sys.setprofile(None)
        assert errors == (count if repeated else 0)
        return calls

    function_calls(10)  # what is made once, such as validators
    assert function_calls(400) < 5 * function_calls(100)
