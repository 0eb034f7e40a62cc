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
\t\tmeta l4proto { icmp, ipv6-icmp } accept
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
            "firewall: {zones: [{name: drop, sources: [::1]}, {name: work, sources: [::2]}]}",
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


SOURCES = """
firewall:
  ipsets:
    - {name: scanners, entries: [198.51.100.0/24, 203.0.113.9]}
    - {name: six, entries: ["2001:db8::/32"]}
    - {name: cards, entries: ["52:54:00:00:00:01"]}
  zones:
    - {name: block, sources: ["ipset:scanners", "ipset:six"]}
    - {name: drop, sources: ["52:54:00:12:34:56", "ipset:cards"]}
"""


def test_network_cards_and_ipsets_with_nftables() -> None:
    document = compiled(blueprint(HEAD.format(distro="debian-12", package="nftables") + SOURCES))
    check_options(document)
    rules = files(document)["/etc/nftables.conf"]["content"]
    assert "ip saddr @ipset-scanners reject with icmpx" in rules
    assert "ip6 saddr @ipset-six reject with icmpx" in rules
    assert "ether saddr 52:54:00:12:34:56 drop\n\t\tether saddr @ipset-cards drop\n" in rules
    assert "type ipv4_addr\n\t\tflags interval\n\t\tauto-merge\n" in rules
    assert "type ether_addr\n\t\telements = { 52:54:00:00:00:01 }\n" in rules
    assert "/etc/firewalld/ipsets/cards.xml" not in files(document)


@pytest.mark.parametrize(("distro", "package"), [("debian-12", "firewalld"), ("fedora-43", "httpd")])
def test_network_cards_and_ipsets_with_firewalld(distro: str, package: str) -> None:
    document = compiled(blueprint(HEAD.format(distro=distro, package=package) + SOURCES))
    check_options(document)
    assert options(document, "org.osbuild.firewall")[0]["zones"] == [
        {"name": "block", "sources": ["ipset:scanners", "ipset:six"]},
        {"name": "drop", "sources": ["52:54:00:12:34:56", "ipset:cards"]},
    ]
    found = {name: files(document)[f"/etc/firewalld/ipsets/{name}.xml"]["content"] for name in ("six", "cards")}
    assert 'type="hash:net">\n  <option name="family" value="inet6"/>\n  <entry>2001:db8::/32</entry>' in found["six"]
    assert 'type="hash:mac">\n  <entry>52:54:00:00:00:01</entry>' in found["cards"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{zones: [{name: drop, sources: ["ipset:a"]}]}', "there is no ipset a in `ipsets`"),
        ('{zones: [{name: drop, sources: ["52:54:00:12:34"]}]}', "does not appear to be an IPv4 or IPv6 network"),
        ("{ipsets: [{name: a, entries: [192.0.2.1/24]}]}", "has host bits set"),
        ('{ipsets: [{name: a, entries: [192.0.2.1, "::1"]}]}', "::1 is an address of IPv6 and 192.0.2.1 one of IPv4"),
        (
            "{zones: [{name: drop, sources: ['::1']}, {name: block, sources: ['0::1/128']}]}",
            "0::1/128 is in a zone already",
        ),
        (
            "{zones: [{name: drop, sources: ['AA:54:00:12:34:56', 'aa:54:00:12:34:56']}]}",
            "aa:54:00:12:34:56 is in a zone already",
        ),
        (
            "{ipsets: [{name: a, entries: [10.1.0.0/16, 192.0.2.1, 10.0.0.0/8]}]}",
            "10.1.0.0/16 overlaps with 10.0.0.0/8",
        ),
        ("{ipsets: [{name: a, entries: [192.0.2.1, 192.0.2.1/32]}]}", "192.0.2.1/32 overlaps with 192.0.2.1"),
        ('{ipsets: [{name: a, entries: ["::1"]}, {name: a, entries: ["::2"]}]}', "has a twice"),
    ],
)
def test_wrong_sources(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        blueprint(HEAD.format(distro="debian-12", package="nftables") + f"firewall: {text}\n")
    assert message in str(caught.value)


def test_one_network_in_two_ipsets_and_networks_side_by_side() -> None:
    text = "{ipsets: [{name: a, entries: [10.0.0.0/9, 10.128.0.0/9]}, {name: b, entries: [10.0.0.0/8]}]}"
    assert blueprint(HEAD.format(distro="debian-12", package="nftables") + f"firewall: {text}\n").firewall
