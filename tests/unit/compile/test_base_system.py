"""What a blueprint's packages put in the place of parts of the base system, and what it leaves out of it."""

from typing import Any

import pytest

from osbuild_compose.blueprint.formats import Format
from osbuild_compose.errors import InputError
from tests.unit.compile.compiling import blueprint, check_options, compiled, files, options

APT = "org.osbuild-compose.apt"
DHCP = "/etc/systemd/network/80-dhcp.network"
ONLY = "/etc/systemd/system/systemd-networkd{}.d/50-only-manager.conf"


def debian(text: str = "", *formats: Format, release: str = "debian-12") -> dict[str, Any]:
    """The pipeline of the blueprint, whose options stages take."""
    found = compiled(blueprint(f"name: a\ndistro: {release}\n{text}"), *formats)
    check_options({key: found[key] for key in ("name", "stages", "assembler")})
    return found


def enabled(document: dict[str, Any]) -> list[str]:
    units: list[str] = options(document, "org.osbuild.systemd")[0]["enabled_services"]
    return units


def base(document: dict[str, Any]) -> list[str]:
    packages: list[str] = options(document, APT)[0]["packages"]
    return packages


@pytest.mark.parametrize("release", ["debian-12", "debian-13"])
@pytest.mark.parametrize(
    "text",
    [
        "packages: [network-manager]",
        "packages: [connman]",
        "packages: [dhcpcd]",
        "packages: [network-manager=1.42.4-1, netplan.io]",
        "packages: [ifupdown]\nfiles: [{path: /etc/network/interfaces.d/lan, content: iface}]",
    ],
)
def test_one_network_manager(text: str, release: str) -> None:
    document = debian(f"{text}\n", release=release)
    assert enabled(document) == ["systemd-resolved"]
    assert DHCP not in files(document)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "packages: [ifupdown, netplan.io]",  # which manage nothing without configuration
        "packages: [network-manager]\nservices: {enabled: [systemd-networkd]}",
        "packages: [network-manager]\nservices: {enabled: [systemd-networkd.service]}",
    ],
)
def test_systemd_networkd_manages_the_network(text: str) -> None:
    document = debian(f"{text}\n")
    assert "systemd-networkd" in [unit.removesuffix(".service") for unit in enabled(document)]
    assert DHCP in files(document)


def test_netplans_files_are_the_configuration_of_systemd_networkd() -> None:
    document = debian("packages: [netplan.io]\nfiles: [{path: /etc/netplan/10.yaml, content: 'network: {}'}]\n")
    assert enabled(document) == ["systemd-networkd", "systemd-resolved"]
    assert DHCP not in files(document)


def test_a_network_manager_that_other_packages_bring_is_alone() -> None:
    found = files(debian("packages: [gnome-core]\n"))
    for unit in (".service", ".socket", "-wait-online.service"):
        assert found[ONLY.format(unit)]["content"].endswith(
            "[Unit]\nConditionPathExists=!/usr/lib/systemd/system/NetworkManager.service\n"
            "ConditionPathExists=!/usr/lib/systemd/system/connman.service\n"
            "ConditionPathExists=!/usr/lib/systemd/system/dhcpcd.service\n"
        )
    own = "files: [{path: /etc/systemd/network/lan.network, content: x}]\n"
    static = "network: {interfaces: [{name: lan, dhcp: true}]}\n"
    for text in (
        "",
        f"packages: [gnome-core]\n{own}",
        f"packages: [gnome-core]\n{static}",
        "packages: [network-manager]\n",
    ):
        assert ONLY.format(".service") not in files(debian(text))


@pytest.mark.parametrize("package", ["resolvconf", "openresolv"])
def test_resolvconf_in_the_place_of_systemd_resolved(package: str) -> None:
    document = debian(f"packages: [{package}]\n")
    assert enabled(document) == ["compose-name-servers.service", "compose-name-servers.path", "systemd-networkd"]
    assert files(document)["/usr/libexec/compose-name-servers"]["content"].endswith(
        "servers | resolvconf -a networkd\n"
    )
    assert enabled(debian(f"packages: [{package}, network-manager]\n")) == []


def test_without_systemd_resolved() -> None:
    document = debian("exclude: [systemd-resolved]\n")
    assert "systemd-resolved" not in base(document)
    assert enabled(document) == ["compose-name-servers.service", "compose-name-servers.path", "systemd-networkd"]
    (links,) = [one["symlinks"] for one in options(document, "org.osbuild-compose.files") if "symlinks" in one]
    assert links == [{"path": "/etc/resolv.conf", "target": "/run/compose-name-servers/resolv.conf"}]
    own = "exclude: [systemd-resolved]\nfiles: [{path: /etc/resolv.conf, content: nameserver 192.0.2.1}]\n"
    assert enabled(debian(own)) == ["systemd-networkd"]


@pytest.mark.parametrize(
    "package", ["systemd-timesyncd", "ca-certificates", "iproute2", "dbus", "libpam-systemd", "apt"]
)
def test_a_package_of_the_base_system_is_left_out(package: str) -> None:
    assert package in base(debian())
    assert package not in base(debian(f"exclude: [{package}]\n"))


@pytest.mark.parametrize(
    "package", ["systemd-sysv", "udev", "linux-image-cloud-amd64", "grub-pc-bin", "initramfs-tools"]
)
def test_a_package_that_no_image_can_do_without(package: str) -> None:
    with pytest.raises(InputError, match=f"its images cannot do without {package}"):
        debian(f"exclude: [{package}]\n")


def test_the_release_s_kernel_is_left_out_where_another_is_named() -> None:
    packages = base(debian("exclude: [linux-image-cloud-amd64]\npackages: [linux-image-amd64]\n"))
    assert "linux-image-cloud-amd64" not in packages
    assert "linux-image-amd64" in packages


@pytest.mark.parametrize("package", ["kernel-core", "grub2-pc"])
def test_what_no_image_of_fedora_can_do_without(package: str) -> None:
    with pytest.raises(InputError, match=f"b.yaml:3:11: .* its images cannot do without {package}"):
        compiled(blueprint(f"name: a\ndistro: fedora-43\nexclude: [{package}]\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("packages: [sysvinit-core]", "sysvinit-core removes systemd-sysv, and what starts in its images are units"),
        ("packages: [runit-init]", "runit-init removes systemd-sysv"),
        (
            "packages: [connman]\nnetwork: {interfaces: [{name: lan, dhcp: true}]}",
            "connman sets up the network, and it",
        ),
        ("packages: [openssh-server, dropbear]", "openssh-server and dropbear would both listen on port 22"),
        ("packages: [elogind]", "elogind removes systemd, which starts its images"),
        ("packages: [tiny-initramfs]", "tiny-initramfs removes initramfs-tools"),
        ("timeservers: [a.example]\nexclude: [systemd-timesyncd]", "`exclude` has systemd-timesyncd"),
        (
            "kernel: {package: linux-image-rt-amd64}\npackages: [linux-image-amd64]",
            "it has another kernel than `kernel.package`, linux-image-amd64",
        ),
    ],
)
def test_what_cannot_take_the_place(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        debian(f"{text}\n")


@pytest.mark.parametrize(
    "text",
    [
        "packages: [dropbear]",
        "packages: [openssh-server, dropbear]\nservices: {disabled: [dropbear]}",
        "packages: [openssh-server, dropbear]\nfiles: [{path: /etc/default/dropbear, content: DROPBEAR_PORT=2222}]",
    ],
)
def test_one_ssh_server(text: str) -> None:
    debian(f"{text}\n")


@pytest.mark.parametrize(
    "text",
    [
        "packages: [systemd-networkd]\nexclude: [NetworkManager]",
        "services: {enabled: [systemd-networkd], disabled: [NetworkManager]}",
        "services: {enabled: [systemd-networkd.service], masked: [NetworkManager.service]}",
    ],
)
def test_systemd_networkd_in_the_place_of_fedoras_network_manager(text: str) -> None:
    document = compiled(blueprint(f"name: a\ndistro: fedora-43\n{text}\n"))
    assert "systemd-networkd" in [unit.removesuffix(".service") for unit in enabled(document)]
    assert DHCP in files(document)


def test_two_network_managers_of_fedora() -> None:
    text = "name: a\ndistro: fedora-43\nservices: {enabled: [systemd-networkd]}\n"
    with pytest.raises(InputError, match="systemd-networkd and NetworkManager would both set up the network"):
        compiled(blueprint(text))
    document = compiled(blueprint("name: a\ndistro: fedora-43\npackages: [systemd-networkd]\n"))
    assert enabled(document) == []
    assert DHCP not in files(document)


@pytest.mark.parametrize("release", ["debian-12", "debian-13"])
def test_dracut_in_the_place_of_initramfs_tools(release: str) -> None:
    document = debian("packages: [dracut]\ninitramfs: {drivers: [nvme], dracut_modules: [lvm]}\n", release=release)
    assert "dracut" in base(document)
    assert "initramfs-tools" not in base(document)
    (script,) = options(document, "org.osbuild.script")
    assert "dracut --force" in script["script"]
    found = files(document)
    assert "hostonly=no\n" in found["/etc/dracut.conf.d/50-any-machine.conf"]["content"]
    assert 'add_drivers+=" nvme "\n' in found["/etc/dracut.conf.d/90-compose.conf"]["content"]
    assert "/etc/dracut.conf.d/50-verity.conf" not in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("formats: [iso]\n", "its live systems need initramfs-tools, and `packages` has dracut"),
        (
            "disk: {partitions: [{mount: /boot, size: 256 MiB}, {mount: /, luks: {passphrase_variable: A}}]}\n",
            "an encrypted / is opened by initramfs-tools",
        ),
    ],
)
def test_what_dracut_does_not_do_here(text: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "passphrase")
    with pytest.raises(InputError, match=message):
        debian(f"packages: [dracut]\n{text}", *([Format.ISO] if "iso" in text else []))


def test_a_network_manager_that_is_disabled_sets_up_nothing() -> None:
    for services in ("disabled: [NetworkManager]", "masked: [NetworkManager.service]"):
        document = debian(f"packages: [network-manager]\nservices: {{{services}}}\n")
        assert "systemd-networkd" in enabled(document)
        assert DHCP in files(document)
    both = debian("packages: [network-manager, connman]\nservices: {disabled: [connman]}\n")
    assert "systemd-networkd" not in enabled(both)
    assert DHCP not in files(both)


def test_two_network_managers_are_one_too_many() -> None:
    with pytest.raises(InputError, match="network-manager and connman would all set up the network"):
        debian("packages: [network-manager, connman]\n")
    assert debian("packages: [network-manager, connman]\n", Format.TAR)


def test_what_is_excluded_by_a_pattern() -> None:
    fedora = "name: a\ndistro: fedora-43\nexclude: ['{}']\npackages: [systemd-networkd]\n"
    document = compiled(blueprint(fedora.format("NetworkManager*")))
    assert "systemd-networkd" in enabled(document)
    with pytest.raises(InputError, match="its images cannot do without kernel-core"):
        compiled(blueprint(fedora.format("kernel*")))
    with pytest.raises(InputError, match="other keys of the blueprint need selinux-policy-targeted"):
        compiled(blueprint(fedora.format("selinux-*")))


def test_a_container_without_its_package_manager() -> None:
    assert base(debian("exclude: [apt]\n", Format.TAR)) == []
