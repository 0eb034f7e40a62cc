"""The firewall: firewalld's stage, or nftables' rules on a Debian without firewalld."""

import pytest

from osbuild_compose.errors import InputError
from tests.unit.compile.compiling import blueprint, check_options, compiled, files, options

HEAD = "name: a\ndistro: {distro}\npackages: [{package}]\n"
FIREWALL = """
firewall:
  ports: ["8080:tcp", "80:tcp", "6000-6010:udp"]
  services: {enabled: [http, dns], disabled: [DISABLED]}
  zones: [{name: drop, sources: ["2001:db8::/32"]}, {name: trusted, sources: [192.0.2.0/24, 198.51.100.7]}]
"""
RULES = """
\t\tip6 saddr 2001:db8::/32 drop
\t\tip saddr 192.0.2.0/24 accept
\t\tip saddr 198.51.100.7 accept
\t\tip6 daddr fe80::/64 udp dport 546 accept
\t\ttcp dport 80 accept
\t\ttcp dport 53 accept
\t\tudp dport 53 accept
\t\ttcp dport 8080 accept
\t\tudp dport 6000-6010 accept
\t}
}
"""


@pytest.mark.parametrize(("distro", "package"), [("debian-12", "firewalld"), ("fedora-43", "httpd")])
def test_firewalld(distro: str, package: str) -> None:
    head = HEAD.format(distro=distro, package=package)
    document = compiled(blueprint(head + FIREWALL.replace("DISABLED", "ssh")))
    check_options(document)
    assert options(document, "org.osbuild.firewall") == [
        {
            "ports": ["8080:tcp", "80:tcp", "6000-6010:udp"],
            "enabled_services": ["http", "dns"],
            "disabled_services": ["ssh"],
            "zones": [
                {"name": "drop", "sources": ["2001:db8::/32"]},
                {"name": "trusted", "sources": ["192.0.2.0/24", "198.51.100.7"]},
            ],
        }
    ]
    assert "/etc/nftables.conf" not in files(document)
    if distro == "debian-12":
        assert "netbase" in options(document, "org.osbuild-compose.apt")[1]["packages"]


def test_nftables() -> None:
    head = HEAD.format(distro="debian-12", package="nftables")
    document = compiled(blueprint(head + FIREWALL.replace("DISABLED", "ssh")))
    check_options(document)
    rules = files(document)["/etc/nftables.conf"]
    assert rules["mode"] == "0755"
    assert rules["content"].endswith(RULES)
    assert "policy drop;" in rules["content"]
    assert options(document, "org.osbuild.systemd")[0]["enabled_services"][0] == "nftables"
    assert options(document, "org.osbuild.firewall") == []
    plain = compiled(blueprint(head + "firewall: {services: {disabled: [dhcpv6-client]}}\n"))
    assert files(plain)["/etc/nftables.conf"]["content"].endswith("accept\n\t\ttcp dport 22 accept\n\t}\n}\n")
    without = compiled(blueprint(head))
    assert "/etc/nftables.conf" not in files(without)
    assert "nftables" not in options(without, "org.osbuild.systemd")[0]["enabled_services"]


@pytest.mark.parametrize(
    ("package", "text", "message", "hint"),
    [
        (
            "nginx",
            "firewall: {}",
            "4:1: debian-12 does not support `firewall`: `packages` has neither nftables nor firewalld",
            "add one",
        ),
        (
            "nftables",
            "firewall: {services: {enabled: [http, finger]}}",
            "4:39: debian-12 does not support `firewall.services.enabled.1`: nftables has no service finger",
            "firewall.ports",
        ),
        (
            "nftables",
            "firewall: {services: {disabled: [finger]}}",
            "4:34: debian-12 does not support `firewall.services.disabled.0`: nftables has no service finger",
            "firewalld",
        ),
        (
            "nftables",
            "firewall: {zones: [{name: drop, sources: [::1]}, {name: work, sources: [::1]}]}",
            "4:51: debian-12 does not support `firewall.zones.1.name`: nftables has no zone work",
            "trusted, drop and block",
        ),
    ],
)
def test_refused(package: str, text: str, message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        compiled(blueprint(HEAD.format(distro="debian-12", package=package) + text))
    assert str(caught.value).startswith(f"b.yaml:{message}")
    assert hint in caught.value.hint
