"""What the blueprints in tests/cases stand for, as far as that is known without building them."""

from typing import Any

import pytest

from osbuild_compose.blueprint.formats import Format
from osbuild_compose.errors import ComposeError
from tests.conftest import REPO
from tests.unit.compile.compiling import blueprint, check_options, compiled, files, options

CASES = REPO / "tests/cases"
APT = "org.osbuild-compose.apt"


def made(name: str) -> dict[str, Any]:
    """The pipeline of that case, whose options stages take."""
    found = compiled(blueprint((CASES / f"{name}.yaml").read_text()))
    check_options({key: found[key] for key in ("name", "stages", "assembler")})
    return found


def users(name: str) -> dict[str, dict[str, Any]]:
    """The users of the case, as the stage gets them."""
    (found,) = options(made(name), "org.osbuild.users")
    accounts: dict[str, dict[str, Any]] = found["users"]
    return accounts


def test_password_locked_as_in_shadow() -> None:
    found = [user["password"] for user in users("password-locked-as-in-shadow").values()]
    assert found[:3] == ["!!", "!*", "*LK*"]
    assert found[3].startswith("!$6$abcdefgh$KcPCgrcNRSUDaH/")


@pytest.mark.parametrize("name", ["user-name-dollar", "user-name-with-dot"])
def test_user_name(name: str) -> None:
    assert set(users(name)) in ({"pc$"}, {"john.doe", "4you", "Admin"})


def test_user_name_with_dot_and_sudo() -> None:
    found = {path: file["content"] for path, file in files(made("user-name-with-dot")).items() if "sudoers" in path}
    assert found == {
        "/etc/sudoers.d/john+doe": '"john.doe" ALL=(ALL:ALL) ALL\n',
        "/etc/sudoers.d/Admin": '"Admin" ALL=(ALL:ALL) NOPASSWD: ALL\n',
    }


def test_sudo_for_a_user_who_is_called_all() -> None:
    """In sudoers(5), ALL without quotes is everybody."""
    found = files(compiled(blueprint("name: a\ndistro: debian-12\nusers: [{name: ALL, sudo: nopasswd}]\n")))
    assert found["/etc/sudoers.d/ALL"]["content"] == '"ALL" ALL=(ALL:ALL) NOPASSWD: ALL\n'


def test_user_gid_without_group() -> None:
    assert users("user-gid-without-group")["ops"]["gid"] == 1200


def test_user_in_own_group() -> None:
    assert users("user-in-own-group")["ops"]["groups"] == ["ops"]


def test_group_already_there() -> None:
    assert options(made("group-already-there"), "org.osbuild.groups") == [{"groups": {"www-data": {}}}]


def test_group_of_the_users_name() -> None:
    assert users("group-of-the-users-name")["ops"]["gid"] == "ops"


def test_size_500_mb() -> None:
    partitions = made("size-500-mb")["assembler"]["options"]["partitions"]
    (sectors,) = [item["size"] for item in partitions if item.get("filesystem", {}).get("mountpoint") == "/srv"]
    assert sectors * 512 == 500_000_256


def test_directory_that_is_there() -> None:
    found = [
        stage["directories"]
        for stage in options(made("directory-that-is-there"), "org.osbuild-compose.files")
        if "directories" in stage
    ]
    assert found == [[{"path": "/var/tmp"}, {"path": "/root"}]]


def test_firewall_port_by_name() -> None:
    (firewall,) = options(made("firewall-port-by-name"), "org.osbuild.firewall")
    assert firewall["ports"] == ["22:tcp", "143:tcp"]


def test_swapfile() -> None:
    document = made("swapfile")
    assert "swapfile.swap" in options(document, "org.osbuild.systemd")[0]["enabled_services"]
    assert "mkswap /swapfile" in options(document, "org.osbuild.script")[-1]["script"]


def test_mount_point_that_no_package_makes() -> None:
    """The stage that writes fstab makes the directories."""
    (fstab,) = options(made("mount-point-that-no-package-makes"), "org.osbuild.fstab")
    assert {"/data", "/srv/deep/er"} <= {entry["path"] for entry in fstab["filesystems"]}


@pytest.mark.parametrize("word", ["C.utf8", "C.UTF8", "C.UTF-8"])
def test_locales_as_they_are_listed(word: str) -> None:
    assert blueprint(f"name: a\ndistro: debian-12\nlocale: {word}\n").locale == "C.UTF-8"


@pytest.mark.parametrize("name", ["de-latin1-nodeadkeys", "jp-OADG109A", "ANSI-dvorak", "bg_bds-utf8", "3l", "sr-cy"])
def test_keyboards_as_they_are_listed(name: str) -> None:
    assert blueprint(f"name: a\ndistro: fedora-43\nkeyboard: {name}\n").keyboard == name


@pytest.mark.parametrize(
    ("name", "hint", "suggestion"),
    [
        ("rhel-9", "made from the sources of RHEL are: almalinux-9, centos-9, rocky-9;", ""),
        ("rhel-9.4", "almalinux-9, centos-9, rocky-9;", ""),
        ("debian-11", "of debian there are: debian-12, debian-13;", "debian-12"),
        ("bullseye", "of debian there are: debian-12, debian-13;", "debian-12"),
        ("bookworm", "did you mean `debian-12`?", "debian-12"),
        ("debian-13.1", "did you mean `debian-13`?", "debian-13"),
        ("centos-stream-9", "did you mean `centos-9`?", "centos-9"),
        ("ubuntu-24.04", "there is no template for it; `--templates` takes your own", ""),
    ],
)
def test_other_names_of_distributions(name: str, hint: str, suggestion: str) -> None:
    with pytest.raises(ComposeError) as caught:
        blueprint(f"name: a\ndistro: {name}\n")
    assert hint in caught.value.hint
    assert caught.value.suggestion == suggestion


def test_accounts_of_packages_keep_their_shell() -> None:
    found = options(
        compiled(blueprint("name: a\ndistro: debian-12\nusers: [{name: messagebus, groups: [adm]}, {name: ops}]\n")),
        "org.osbuild.users",
    )[0]["users"]
    assert "shell" not in found["messagebus"]
    assert found["ops"]["shell"] == "/bin/bash"


def test_kernel_in_packages() -> None:
    """Also with a version, and for a format whose own kernel would be another."""
    text = (CASES / "kernel-in-packages.yaml").read_text()
    for wanted in (text, text.replace("linux-image-amd64", "linux-image-amd64=6.1.170-1")):
        base, own = options(compiled(blueprint(wanted), Format.QCOW2), APT)
        assert [name for name in base["packages"] if name.startswith("linux-image-")] == own["packages"]


def test_iso_usb() -> None:
    """tests/boot/test_live.py starts such an image from a USB stick."""
    (base,) = options(compiled(blueprint((CASES / "iso-usb.yaml").read_text()), Format.ISO), APT)[:1]
    assert "linux-image-amd64" in base["packages"]
    assert "linux-image-cloud-amd64" not in base["packages"]


def test_resolvconf() -> None:
    """Which package was removed: test_what_was_removed_is_told in tests/integration/test_apt_stage.py."""
    (units,) = options(made("resolvconf"), "org.osbuild.systemd")
    assert "systemd-resolved" not in units["enabled_services"]
    assert "compose-name-servers.service" in units["enabled_services"]


@pytest.mark.parametrize(
    ("case", "name"), [("postfix", "mail.example.org"), ("postfix13", "mail.example.org"), ("mailname", "web")]
)
def test_host_name(case: str, name: str) -> None:
    """What packages make of it: test_one_of_everything in tests/integration/apt/test_like_mmdebstrap.py."""
    stages = made(case)["stages"]
    assert [stage["name"] for stage in stages][:3] == [APT, "org.osbuild.hostname", APT]
    assert stages[1]["options"] == {"hostname": name}
    assert {"exim4", "postfix"}.intersection(stages[2]["options"]["packages"])


def test_two_network_managers() -> None:
    document = made("two-network-managers")
    assert options(document, "org.osbuild.systemd") == [{"enabled_services": ["systemd-resolved"]}]
    assert [path for path in files(document) if "/systemd/network" in path] == []


def test_exclude_base() -> None:
    document = made("exclude-base")
    (base,) = options(document, APT)
    assert "systemd-resolved" not in base["packages"]
    assert "systemd-resolved" not in options(document, "org.osbuild.systemd")[0]["enabled_services"]


def test_package_left_out_as_in_kickstart() -> None:
    with pytest.raises(ComposeError) as caught:
        made("package-left-out-as-in-kickstart")
    assert caught.value.hint == "to leave it out, write: exclude: [firewalld]"


def test_every_case_is_tested() -> None:
    texts = "".join(path.read_text() for path in (REPO / "tests").rglob("test_*.py"))
    stems = {path.stem for path in CASES.iterdir() if path.name != "README.md"}
    assert {stem for stem in stems if stem not in texts and f"test_{stem.replace('-', '_')}" not in texts} == set()
