"""What Debian's template makes of blueprints."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osbuild_compose.blueprint import load
from osbuild_compose.blueprint.formats import Contents, Format
from osbuild_compose.blueprint.model import Blueprint, File, User
from osbuild_compose.compile import pipeline
from osbuild_compose.disk import uuids
from osbuild_compose.distro.family.host_apt import HostApt
from osbuild_compose.distro.repository import DebRepository
from osbuild_compose.errors import InputError
from tests import small_key
from tests.unit.compile.compiling import CATALOG, REPO, blueprint, check_options, compiled, files, names, options

SAMPLES = sorted((REPO / "blueprints").glob("debian-*.yaml"))
EVERYTHING = """
name: everything
distro: debian-12
packages: [nginx, openssh-server, chrony]
exclude: [exim4-base]
repositories: [default, {url: http://mirror.example/tools/, suites: [stable], keys: [KEY], check_valid_until: false}]
hostname: a.example
timezone: UTC
timeservers: [ntp.example, 192.0.2.1]
locale: cs_CZ.UTF-8
keyboard: cz
users:
  - {name: root, password: "!"}
  - {name: a, description: A, uid: 1000, gid: 100, groups: [sudo], home: /srv/a, shell: /bin/sh, password: $6$a$b,
     ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEV4YW1wbGVFeGFtcGxlRXhhbXBsZUV4YW1wbGVFeGFt]}
  - name: b
groups: [{name: c}, {name: d, gid: 900}]
services: {enabled: [sshd, nginx], disabled: [apt-daily.timer], masked: [systemd-resolved],
  default_target: multi-user.target}
directories: [{path: /srv/a, mode: "0700", owner: a, group: 100}]
files: [{path: /srv/f, content: x}, {path: /srv/g, base64: aGk=, mode: "4755", owner: 1, group: d}]
symlinks: [{path: /srv/l, target: f}]
scripts: ["echo a\\n", "#!/usr/bin/env perl\\n1;\\n"]
kernel: {package: linux-image-amd64, append: quiet}
disk: {size: 5 GiB}
formats: [raw, tar.zst]
""".replace(
    "[KEY]",
    f"[{small_key.IN_YAML}]",
)


MINIMAL = Blueprint(name="web", distro="debian-12")


@pytest.mark.parametrize("path", [*SAMPLES, None], ids=lambda path: path.stem if path else "everything")
@pytest.mark.parametrize("image_format", [Format.QCOW2, Format.VPC, Format.RAW_XZ, Format.TAR, Format.TAR_XZ])
def test_options_fit_the_stages_schemas(path: Path | None, image_format: Format) -> None:
    wanted = load.load(path, CATALOG.releases) if path else blueprint(EVERYTHING)
    check_options(compiled(wanted, image_format))


def test_samples_are_there_and_begin_with_their_schema() -> None:
    assert len(SAMPLES) >= 3
    for path in (REPO / "blueprints").glob("*.yaml"):
        assert path.read_text().startswith("# yaml-language-server: $schema=../schemas/blueprint.schema.json\n")


def test_order_keeps_the_cache() -> None:
    assert " ".join(names(compiled(blueprint(EVERYTHING)))) == (
        "apt hostname apt first-boot-secrets locale keymap timezone groups users chrony files fstab grub files systemd "
        "script script provenance"
    )


def test_the_base_system_is_the_same_for_all_blueprints_of_a_release() -> None:
    other = replace(MINIMAL, name="other", packages=("nginx",), hostname="b", formats=(Format.RAW,), timezone="UTC")
    with_own = blueprint(EVERYTHING.replace("exclude: [exim4-base]", "").replace("{package: linux-image-amd64, ", "{"))
    first = compiled(MINIMAL)["stages"][0]
    assert compiled(other)["stages"][0] == first
    assert compiled(with_own)["stages"][0] == first
    assert compiled(replace(MINIMAL, distro="debian-13"))["stages"][0] != first


def test_scripts_of_packages_see_the_host_name_and_those_of_the_base_do_not() -> None:
    first, second = (compiled(replace(MINIMAL, packages=("nginx",), hostname=name)) for name in ("a", "b"))
    assert names(first)[:3] == ["apt", "hostname", "apt"]
    same = [one == other for one, other in zip(first["stages"], second["stages"], strict=True)]
    assert same[:3] == [True, False, True]


def test_packages_come_in_a_stage_of_their_own_with_what_other_keys_need() -> None:
    assert len(options(compiled(MINIMAL), "org.osbuild-compose.apt")) == 1
    base, own = options(compiled(blueprint(EVERYTHING)), "org.osbuild-compose.apt")
    assert own["packages"] == ["nginx", "openssh-server", "chrony", "tzdata", "locales", "console-setup"]
    assert own["exclude"] == base["exclude"] == ["exim4-base"]
    assert "linux-image-amd64" in base["packages"]
    assert base["recommends"] is False
    assert base["architecture"] == "amd64"
    assert [repository["url"] for repository in own["repositories"]][-1] == "http://mirror.example/tools"
    assert own["repositories"][-1]["check_valid_until"] is False
    assert len(own["repositories"]) == len(base["repositories"]) + 1


def test_build_mirror_is_used_for_building_and_never_gets_into_the_image() -> None:
    document = compiled(MINIMAL, host=HostApt("http://build.example/d", "http://build.example/s", False))
    repositories = options(document, "org.osbuild-compose.apt")[0]["repositories"]
    assert [item["url"] for item in repositories] == ["http://build.example/d", "http://build.example/s"]
    assert [item["check_valid_until"] for item in repositories] == [False, False]
    assert "build.example" not in json.dumps(document["stages"][1:])
    sources = files(document)["/etc/apt/sources.list.d/debian.sources"]["content"]
    official = CATALOG.releases["debian-12"].repositories
    urls = [item.url for item in official if isinstance(item, DebRepository)]
    assert re.findall(r"^URIs: (.*)$", sources, re.MULTILINE) == urls


def test_sources_of_the_image() -> None:
    sources = files(compiled(blueprint(EVERYTHING)))["/etc/apt/sources.list.d/debian.sources"]["content"]
    assert sources.split("\n\n")[0] == (
        "Types: deb\nURIs: http://ftp.debian.org/debian\nSuites: bookworm bookworm-updates\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg"
    )
    assert sources.split("\n\n")[2] == (
        "Types: deb\nURIs: http://mirror.example/tools/\nSuites: stable\nComponents: main\n"
        f"Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n {small_key.BODY}\n"
        " -----END PGP PUBLIC KEY BLOCK-----\n"
        "Check-Valid-Until: no\n"
    )


def test_a_blueprints_repositories_replace_the_archive() -> None:
    wanted = blueprint("name: a\ndistro: debian-12\nrepositories: [{url: http://own.example, suites: [bookworm]}]\n")
    document = compiled(wanted, host=HostApt("http://build.example"))
    repositories = options(document, "org.osbuild-compose.apt")[0]["repositories"]
    assert [item["url"] for item in repositories] == ["http://own.example"]
    assert "-----BEGIN PGP" in repositories[0]["keys"][0]  # the distribution's own, as none is given
    assert "ftp.debian.org" not in json.dumps(document)


def test_users() -> None:
    users = options(compiled(blueprint(EVERYTHING)), "org.osbuild.users")[0]["users"]
    assert users["root"] == {"password": "!"}
    assert users["b"] == {"shell": "/bin/bash"}
    assert users["a"] == {
        **{"description": "A", "uid": 1000, "gid": 100, "groups": ["sudo"], "home": "/srv/a", "shell": "/bin/sh"},
        **{
            "password": "$6$a$b",
            "keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEV4YW1wbGVFeGFtcGxlRXhhbXBsZUV4YW1wbGVFeGFt"],
        },
    }


def test_services_by_debians_names() -> None:
    services = options(compiled(blueprint(EVERYTHING)), "org.osbuild.systemd")[0]
    assert services == {
        "enabled_services": ["systemd-networkd", "ssh", "nginx"],
        "disabled_services": ["apt-daily.timer"],
        "masked_services": ["systemd-resolved"],
        "default_target": "multi-user.target",
    }


def test_time_servers() -> None:
    with_chrony = compiled(blueprint(EVERYTHING))
    assert options(with_chrony, "org.osbuild.chrony") == [{"timeservers": ["ntp.example", "192.0.2.1"]}]
    assert not [path for path in files(with_chrony) if "timesyncd" in path]
    plain = files(compiled(replace(MINIMAL, timeservers=("a", "b"))))
    assert plain["/etc/systemd/timesyncd.conf.d/50-compose.conf"]["content"] == "[Time]\nNTP=a b\n"


def test_scripts_get_an_interpreter() -> None:
    scripts = [stage["script"] for stage in options(compiled(blueprint(EVERYTHING)), "org.osbuild.script")]
    assert scripts == ["#!/bin/sh -e\necho a\n", "#!/usr/bin/env perl\n1;\n"]


@pytest.mark.parametrize("image_format", list(Format))
def test_assembler(image_format: Format) -> None:
    document = compiled(MINIMAL, image_format)
    got = document["assembler"]["options"]
    name = f"web{image_format.extension}"
    if image_format.is_tar:
        assert document["assembler"]["name"] == "org.osbuild.tar"
        assert got["filename"] == name
        return
    assert document["assembler"]["name"] == "org.osbuild-compose.image"
    own = {
        Format.OCI_ARCHIVE: {"architecture": "x86_64", "cmd": ["/bin/bash"]},
        Format.OVA: {"name": "web", "firmware": "bios"},
        Format.ISO: {"label": "web"},
    }
    assert got["outputs"] == [{"format": image_format, "filename": name, **own.get(image_format, {})}]
    assert ("disk" in got) == image_format.is_disk
    if not image_format.is_disk:
        return
    root = got["disk"]["partitions"][-1]
    fstab = {entry["path"]: entry for entry in options(document, "org.osbuild.fstab")[0]["filesystems"]}
    grub = options(document, "org.osbuild-compose.grub")[0]
    uuid = uuids.uuid_for("web", "root file system")
    assert root["filesystem"] == {"type": "ext4", "uuid": uuid, "mountpoint": "/"}
    assert fstab["/"]["uuid"] == grub["root_fs_uuid"] == uuid


@pytest.mark.parametrize("contents", Contents)
def test_only_the_assembler_depends_on_the_format(contents: Contents) -> None:
    for for_hardware in {one.traits.for_hardware for one in Format if one.traits.contents is contents}:
        formats = [one for one in Format if not one.is_live and one.traits.for_hardware == for_hardware]
        made = [compiled(MINIMAL, one)["stages"] for one in formats if one.traits.contents is contents]
        assert len(made) > 1
        assert all(one == made[0] for one in made)


def test_live_systems_have_live_boot() -> None:
    for image_format in (Format.ISO, Format.PXE):
        assert "live-boot" in options(compiled(MINIMAL, image_format), "org.osbuild-compose.apt")[-1]["packages"]


def test_same_input_same_bytes_and_names_tell_images_apart() -> None:
    texts = {pipeline.to_json(compiled(blueprint(EVERYTHING))) for _ in range(3)}
    assert len(texts) == 1
    assert json.loads(texts.pop())["name"] == "everything"
    # Fixed for ever: an image's identifiers must not change with our version.
    assert uuids.uuid_for("web", "root file system") == "d0b305e1-b196-516e-a448-a156998a2250"
    assert "0x" + uuids.table_uuid_for("web")[:8] == "0x21cc853b"
    assert uuids.uuid_for("web2", "root file system") != uuids.uuid_for("web", "root file system")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("selinux: permissive\n", "b.yaml:3:1: debian-12 does not support `selinux`: "),
        ("fips: true\n", "b.yaml:3:1: debian-12 does not support `fips`: "),
        (
            "exclude: [cron]\ncron: [{name: a, schedule: '@daily', command: b}]\n",
            "b.yaml:3:1: debian-12 does not support `exclude`: other",
        ),
        (
            "kernel: {append: quiet}\ndisk: {bootloader: none}\n",
            "b.yaml:3:10: debian-12 does not support `kernel.append`: ",
        ),
        (
            "packages: [ntpsec]\ntimeservers: [a]\n",
            "b.yaml:4:1: debian-12 does not support `timeservers`: it cannot configure ntpsec",
        ),
        (
            "enabled_modules: [{name: a, stream: b}]\n",
            "b.yaml:3:1: debian-12 does not support `enabled_modules`: its repos",
        ),
        (
            "repositories: [default, {id: a, baseurl: http://a}]\n",
            "b.yaml:3:25: debian-12 takes packages from Debian repositories",
        ),
    ],
)
def test_what_debian_cannot_do_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        compiled(blueprint(f"name: a\ndistro: debian-12\n{text}"))
    assert str(caught.value).startswith(message)
    assert caught.value.location
    assert compiled(blueprint("name: a\ndistro: debian-12\nselinux: disabled\n")) == compiled(
        replace(MINIMAL, name="a")
    )


def test_an_architecture_that_cannot_be_built_is_reported_with_its_place() -> None:
    wanted = blueprint("name: a\ndistro: debian-12\narch: aarch64\n")
    with pytest.raises(InputError) as caught:
        compiled(wanted)
    assert str(caught.value) == "b.yaml:3:7: debian-12 cannot be built for aarch64, only for x86_64"


NASTY = st.text(alphabet=st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    [
        "{{ 7 * 7 }}",
        "{% raw %}",
        "a: b\n- c",
        '"',
        "'",
        "\\",
        "\u2028\u0085\ufeff\uffff",
        "\U0001f600",
        "# no",
        "&a *a",
        "\0\t\r\n",
        "<&>",
    ]
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=NASTY, target=NASTY, name=NASTY)
def test_no_text_can_break_out_of_its_place(content: str, target: str, name: str) -> None:
    wanted = replace(
        MINIMAL,
        hostname=target or None,
        users=(User(name="admin", description=name or None),),
        files=(File("/x", content=content),),
    )
    document = compiled(wanted)
    assert files(document)["/x"]["content"] == content
    assert [stage["hostname"] for stage in options(document, "org.osbuild.hostname")] == ([target] if target else [])
    user = options(document, "org.osbuild.users")[0]["users"]["admin"]
    assert user.get("description") == (name or None)
    assert json.loads(pipeline.to_json(document)) == document
