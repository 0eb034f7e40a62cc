"""What Fedora's template makes of blueprints, for Fedora and for what is made from it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from osbuild_compose.blueprint import load
from osbuild_compose.blueprint.formats import Format
from osbuild_compose.blueprint.model import Blueprint, Firewall, Selinux
from osbuild_compose.disk import uuids
from osbuild_compose.disk.model import Disk, Table
from osbuild_compose.distro import catalog
from osbuild_compose.distro.repository import ARMOUR, NamedRepository
from osbuild_compose.errors import InputError
from tests import small_key
from tests.unit.compile.compiling import CATALOG, REPO, blueprint, check_options, compiled, files, names, options

RELEASES = sorted(name for name, release in CATALOG.releases.items() if release.family.name == "RPM")
SAMPLES = sorted(path for path in (REPO / "blueprints").glob("*.yaml") if not path.name.startswith("debian-"))
KEY = small_key.TEXT
EVERYTHING = """
name: everything
distro: fedora-43
packages: [httpd, "@Web Server"]
exclude: [glibc-minimal-langpack, nano]
repositories:
  - default
  - {id: tools, name: Our tools, baseurl: http://mirror.example/tools/$basearch, priority: 10, checksum: CHECKSUM,
     keys: [KEY]}
  - {id: free, metalink: "https://mirror.example/metalink?arch=$basearch", check_signatures: false}
hostname: a.example
timezone: UTC
timeservers: [ntp.example, 192.0.2.1]
locale: cs_CZ.UTF-8
keyboard: cz
users:
  - {name: root, password: "!"}
  - name: a
    groups: [wheel]
    ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEV4YW1wbGVFeGFtcGxlRXhhbXBsZUV4YW1wbGVFeGFt]
groups: [{name: d, gid: 900}]
services: {enabled: [apache2, own], disabled: [ssh], masked: [chrony], default_target: multi-user.target}
firewall: {ports: ["8080:tcp", "6000-6010:udp"], services: {enabled: [http], disabled: [dhcpv6-client]}}
selinux: permissive
directories: [{path: /srv/a}]
files: [{path: /etc/systemd/system/own.service, content: x}]
symlinks: [{path: /srv/l, target: f}]
scripts: ["echo a\\n"]
kernel: {package: kernel, append: quiet}
formats: [raw, tar.zst]
""".replace("[KEY]", json.dumps([KEY])).replace("CHECKSUM", f"sha256:{'0' * 64}")
MINIMAL = Blueprint(name="web", distro="fedora-43")
STANDIN = NamedRepository("standin", baseurl="http://127.0.0.1:8130/os", keys=(KEY,))


def dnf(document: dict[str, Any]) -> list[dict[str, Any]]:
    return options(document, "org.osbuild.dnf")


@pytest.mark.parametrize("name", [*RELEASES, *SAMPLES], ids=lambda name: Path(name).stem)
@pytest.mark.parametrize("image_format", [Format.QCOW2, Format.RAW_XZ, Format.TAR])
def test_options_fit_the_stages_schemas(name: str | Path, image_format: Format) -> None:
    wanted = load.load(name, CATALOG.releases) if isinstance(name, Path) else blueprint(EVERYTHING)
    wanted = wanted if isinstance(name, Path) else replace(wanted, distro=name)
    check_options(compiled(wanted, image_format))
    check_options(compiled(replace(MINIMAL, distro=wanted.distro), image_format))


def test_the_structure_is_that_of_the_readme_of_2019() -> None:
    """The README: dnf, systemd, grub2, assembled by qemu; each with these options."""
    disk = Disk(size=4 * 1024**3, table=Table.DOS)
    document = compiled(replace(MINIMAL, packages=("httpd",), disk=disk, embed_provenance=False))
    assert names(document) == ["dnf", "dnf", "fstab", "systemd", "grub2", "fix-bls", "selinux"]
    uuid = uuids.uuid_for("web", "root file system")
    base, own = dnf(document)
    assert {"releasever", "basearch", "repos", "packages"} <= set(base)
    assert {"@core", "grub2-pc"} <= set(base["packages"])
    assert "httpd" in own["packages"]
    assert set(base["repos"][0]) == {"metalink", "gpgkey"}
    assert base["repos"][0]["metalink"] == (
        "https://mirrors.fedoraproject.org/metalink?repo=fedora-$releasever&arch=$basearch"
    )
    assert options(document, "org.osbuild.grub2") == [{"root_fs_uuid": uuid}]
    assert document["assembler"]["name"] == "org.osbuild.qemu"
    assert document["assembler"]["options"] == {
        **{"format": "qcow2", "filename": "web.qcow2", "size": 4 * 1024**3},
        **{"ptuuid": "0x" + uuids.table_uuid_for("web")[:8], "root_fs_uuid": uuid},
    }


def test_order_keeps_the_cache() -> None:
    assert " ".join(names(compiled(blueprint(EVERYTHING)))) == (
        "dnf hostname dnf locale keymap timezone groups users chrony repos files firewall fstab files systemd grub2 "
        "fix-bls script provenance selinux"
    )


@pytest.mark.parametrize("name", RELEASES)
def test_every_release_has_its_own_repositories_and_keys(name: str) -> None:
    base = dnf(compiled(replace(MINIMAL, distro=name)))[0]
    distro, _, version = name.rpartition("-")
    assert base["releasever"] == version
    assert base["module_platform_id"] == f"platform:{'f' if distro == 'fedora' else 'el'}{version}"
    hosts = {"fedora": "fedoraproject.org", "centos": "centos.org", "rocky": "rockylinux.org"}
    for repo in base["repos"]:
        assert f"mirrors.{hosts.get(distro, 'almalinux.org')}/" in (repo.get("metalink") or repo["mirrorlist"])
        assert repo["gpgkey"].count(ARMOUR) == 1
    release = [package for package in base["packages"] if package.endswith("-release")]
    assert release == [{"centos": "centos-stream-release"}.get(distro, f"{distro}-release")]


def test_no_two_releases_share_a_key_file() -> None:
    keys = {name: CATALOG.release(name).repositories[0].keys[0] for name in RELEASES}
    assert len(set(keys.values())) == len(RELEASES)


def test_the_base_system_is_the_same_for_all_blueprints_of_a_release() -> None:
    everything = EVERYTHING.replace("exclude: [glibc-minimal-langpack, nano]", "").replace("package: kernel, ", "")
    first = compiled(MINIMAL)["stages"][0]
    assert compiled(replace(MINIMAL, name="other", packages=("httpd",), hostname="b"))["stages"][0] == first
    assert compiled(blueprint(everything))["stages"][0] == first
    assert compiled(replace(MINIMAL, distro="fedora-44"))["stages"][0] != first


def test_packages_come_in_a_stage_of_their_own_with_what_other_keys_need() -> None:
    base, own = dnf(compiled(blueprint(EVERYTHING)))
    assert own["packages"] == [
        *("httpd", "@Web Server", "tzdata", "chrony", "glibc-langpack-cs", "kbd", "firewalld"),
        "selinux-policy-targeted",
    ]
    assert base["packages"] == [
        *("@core", "fedora-release", "dracut-config-generic", "kernel", "grub2-pc", "grub2-efi-x64", "shim-x64")
    ]
    assert own["exclude_packages"] == ["dracut-config-rescue", "glibc-minimal-langpack", "nano"]
    assert own["install_weak_deps"] is False


def test_repositories_of_a_blueprint() -> None:
    document = compiled(blueprint(EVERYTHING))
    base, own = dnf(document)
    assert len(base["repos"]) == 2
    assert own["repos"][:2] == base["repos"]
    tools = {"baseurl": "http://mirror.example/tools/$basearch", "priority": 10, "checksum": f"sha256:{'0' * 64}"}
    assert own["repos"][2:] == [
        {**tools, "gpgkey": KEY},
        {"metalink": "https://mirror.example/metalink?arch=$basearch"},
    ]
    installed = options(document, "org.osbuild.yum.repos")
    key = "/etc/pki/rpm-gpg/RPM-GPG-KEY-tools"
    assert installed == [
        {
            "filename": "compose.repo",
            "repos": [
                {"id": "tools", "name": "Our tools", "baseurl": [tools["baseurl"]], "priority": 10}
                | {"gpgcheck": True, "gpgkey": [f"file://{key}"]},
                {"id": "free", "metalink": "https://mirror.example/metalink?arch=$basearch", "gpgcheck": False},
            ],
        }
    ]
    assert files(document)[key]["content"] == KEY
    assert not [path for path in files(document) if path.startswith("/etc/yum.repos.d")]


def test_a_blueprints_repositories_replace_the_distributions() -> None:
    document = compiled(
        blueprint("name: a\ndistro: fedora-43\nrepositories: [{id: own, baseurl: http://own.example}]\n")
    )
    assert [[repo["baseurl"] for repo in stage["repos"]] for stage in dnf(document)] == [["http://own.example"]] * 2
    assert dnf(document)[0]["repos"][0]["gpgkey"] == CATALOG.release("fedora-43").repositories[0].keys[0]
    assert "fedoraproject.org/metalink" not in json.dumps(document)
    assert {path for path in files(document) if path.startswith("/etc/yum.repos.d/")} == {
        f"/etc/yum.repos.d/{name}.repo" for name in ("fedora", "fedora-updates", "fedora-cisco-openh264")
    }


def test_a_repository_without_signatures_needs_no_files_of_its_own() -> None:
    repository = "{id: x, baseurl: 'http://x/', check_signatures: false}"
    document = compiled(blueprint(f"name: a\ndistro: fedora-43\nrepositories: [default, {repository}]\n"))
    assert [repo["id"] for repo in options(document, "org.osbuild.yum.repos")[0]["repos"]] == ["x"]
    assert "org.osbuild-compose.files" not in names(document)


def test_repositories_of_the_command_line_are_for_building_only() -> None:
    wanted = blueprint(EVERYTHING)
    document = compiled(wanted, instead=(STANDIN, replace(STANDIN, id="b", keys=(), check_signatures=False)))
    for stage in dnf(document):
        assert stage["repos"] == [{"baseurl": STANDIN.baseurl, "gpgkey": KEY}, {"baseurl": STANDIN.baseurl}]
    others = [[one for one in each["stages"] if "dnf" not in one["name"]] for each in (document, compiled(wanted))]
    assert others[0] == others[1]
    unnamed = dnf(compiled(wanted, instead=(replace(STANDIN, keys=()),)))[0]["repos"]
    assert unnamed[0]["gpgkey"] == CATALOG.release("fedora-43").repositories[0].keys[0]


@pytest.mark.parametrize("name", RELEASES)
def test_mirror(name: str) -> None:
    repos = dnf(compiled(replace(MINIMAL, distro=name), mirror="http://mirror.example/pub"))[0]["repos"]
    version = "$releasever-stream" if name.startswith("centos") else "$releasever"
    expected = [f"{version}/BaseOS/$basearch/os", f"{version}/AppStream/$basearch/os"]
    if name.startswith("fedora"):
        expected = ["releases/$releasever/Everything/$basearch/os", "updates/$releasever/Everything/$basearch"]
    assert [repo["baseurl"] for repo in repos] == [f"http://mirror.example/pub/{path}" for path in expected]
    assert all(set(repo) == {"baseurl", "gpgkey"} for repo in repos)


def test_firewall() -> None:
    assert options(compiled(MINIMAL), "org.osbuild.firewall") == []
    document = compiled(blueprint(EVERYTHING))
    assert options(document, "org.osbuild.firewall") == [
        {
            "ports": ["8080:tcp", "6000-6010:udp"],
            "enabled_services": ["http"],
            "disabled_services": ["dhcpv6-client"],
        }
    ]
    assert "firewalld" in dnf(compiled(replace(MINIMAL, firewall=Firewall())))[1]["packages"]


def test_selinux() -> None:
    labels = [{"file_contexts": "etc/selinux/targeted/contexts/files/file_contexts"}]
    plain = compiled(MINIMAL)
    assert options(plain, "org.osbuild.selinux") == labels
    assert "/etc/selinux/config" not in files(plain)
    permissive = compiled(replace(MINIMAL, selinux=Selinux.PERMISSIVE))
    assert options(permissive, "org.osbuild.selinux") == labels
    assert files(permissive)["/etc/selinux/config"]["content"] == "SELINUX=permissive\nSELINUXTYPE=targeted\n"
    off = compiled(replace(MINIMAL, selinux=Selinux.DISABLED))
    assert options(off, "org.osbuild.selinux") == []
    assert files(off)["/etc/selinux/config"]["content"] == "SELINUX=disabled\nSELINUXTYPE=targeted\n"
    assert options(off, "org.osbuild.grub2")[0]["kernel_opts"] == "selinux=0"
    assert len(dnf(off)) == 1


def test_services_by_fedoras_names() -> None:
    assert options(compiled(blueprint(EVERYTHING)), "org.osbuild.systemd") == [
        {
            "enabled_services": ["httpd", "own"],
            "disabled_services": ["sshd"],
            "masked_services": ["chronyd"],
            "default_target": "multi-user.target",
        }
    ]


def test_users_have_the_distributions_shell() -> None:
    users = options(compiled(blueprint(EVERYTHING)), "org.osbuild.users")[0]["users"]
    assert users == {
        "root": {"password": "!"},
        "a": {
            "groups": ["wheel"],
            "keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEV4YW1wbGVFeGFtcGxlRXhhbXBsZUV4YW1wbGVFeGFt"],
        },
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("arch: aarch64\n", "b.yaml:3:7: fedora-43 cannot be built for aarch64, only for x86_64"),
        (
            "repositories: [{url: http://a, suites: [a]}]\n",
            "b.yaml:3:16: fedora-43 takes packages from RPM repositories",
        ),
        (
            "kernel: {append: a=$b}\n",
            "b.yaml:3:10: fedora-43 does not support `kernel.append`: the boot loader cannot pass on the character $",
        ),
        (
            "exclude: [nano, sudo]\nusers: [{name: a, sudo: true}]\n",
            "b.yaml:3:1: fedora-43 does not support `exclude`: other keys of the blueprint need sudo",
        ),
        (
            "exclude: [libkcapi-hmaccalc]\nfips: true\n",
            "b.yaml:3:1: fedora-43 does not support `exclude`: other keys of the blueprint need libkcapi-hmaccalc",
        ),
        (
            "fips: true\ndisk: {bootloader: none}\n",
            "b.yaml:3:1: fedora-43 does not support `fips`: without a boot loader nothing passes it to the kernel",
        ),
    ],
)
def test_what_fedora_cannot_do_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        compiled(blueprint(f"name: a\ndistro: fedora-43\n{text}"))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("selinux: permissive\nfips: true\n", "`fips`: the kernel of a live system is not in /boot"),
        ("selinux: enforcing\n", "`selinux`: a live system's root directory has the label of memory"),
        ("", "`formats`: a live system's root directory has the label of memory"),
    ],
)
def test_what_live_systems_cannot_have(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compiled(blueprint(f"name: a\ndistro: fedora-43\n{text}"), Format.ISO)


def test_a_derivative_is_a_few_lines_of_data() -> None:
    for name in ("rocky", "almalinux"):
        directory = catalog.built_in() / name
        assert len((directory / "distro.yaml").read_text().splitlines()) < 20
        assert {path.name for path in directory.iterdir()} == {"distro.yaml", "keys"}
        assert CATALOG.releases[f"{name}-9"].template == "fedora/pipeline.yaml.j2"


def test_streams_of_modules_are_for_what_the_blueprint_adds() -> None:
    text = "name: a\ndistro: rocky-9\nenabled_modules: [{name: nodejs, stream: '20'}]\n"
    document = compiled(blueprint(text))
    check_options(document)
    base, added = options(document, "org.osbuild.dnf")
    assert "modules" not in base
    assert added["modules"] == [{"name": "nodejs", "stream": "20"}]
    (alone,) = options(compiled(blueprint(text + "selinux: disabled\n")), "org.osbuild.dnf")[1:]
    assert alone["packages"] == []
    assert alone["modules"] == added["modules"]


@pytest.mark.parametrize(
    ("formats", "module"),
    [
        ((Format.ISO,), "dmsquash-live"),
        ((Format.QCOW2, Format.ISO), "dmsquash-live"),
        ((Format.ISO, Format.PXE), "livenet"),
    ],
)
def test_live_systems_have_the_module_of_dracut_that_starts_them(formats: Sequence[Format], module: str) -> None:
    document = compiled(blueprint("name: a\ndistro: fedora-43\nselinux: permissive\n"), *formats)
    check_options(document)
    assert "dracut-live" in options(document, "org.osbuild.dnf")[-1]["packages"]
    made = files(document)["/etc/dracut.conf.d/50-live.conf"]["content"]
    assert made == f'add_dracutmodules+=" {module} "\n'
    (script,) = options(document, "org.osbuild.script")
    assert "dracut --force" in script["script"]


FIPS = "name: a\ndistro: fedora-43\nfips: true\n"


@pytest.mark.parametrize(
    ("text", "kernel_options"),
    [
        ("", "fips=1"),
        ("kernel: {append: quiet}\n", "quiet fips=1"),
        ("disk: {partitions: [{mount: /boot, size: 1 GiB, uuid: %s}]}\n", "fips=1 boot=UUID=%s"),
    ],
)
def test_fips(text: str, kernel_options: str) -> None:
    uuid = "5b2d6c5a-6ce9-4a25-9c6e-0d1e0a0f4f3c"
    document = compiled(blueprint(FIPS + text.replace("%s", uuid)))
    check_options(document)
    packages = options(document, "org.osbuild.dnf")[1]["packages"]
    assert {"crypto-policies-scripts", "libkcapi-hmaccalc", "dracut"} <= set(packages)
    assert options(document, "org.osbuild.update-crypto-policies") == [{"policy": "FIPS"}]
    assert files(document)["/etc/dracut.conf.d/40-fips.conf"]["content"] == 'add_dracutmodules+=" fips "\n'
    (boot,) = options(document, "org.osbuild.grub2")
    assert boot["kernel_opts"] == kernel_options.replace("%s", uuid)
    order = names(document)
    (script,) = [item for item in options(document, "org.osbuild.script") if "dracut --force" in item["script"]]
    assert order.index("update-crypto-policies") < order.index("script") < order.index("grub2")
    assert "for driver in ; do" in script["script"]
