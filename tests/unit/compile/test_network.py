"""The key `network`: files of systemd-networkd and NetworkManager, and what is wrong with addresses."""

import pytest

from osbuild_compose.errors import InputError
from tests.unit.compile.compiling import blueprint, check_options, compiled, files

HEAD = "name: a\ndistro: {}\n"
NETWORK = """network:
  interfaces:
    - name: enp1s0
      addresses: [192.0.2.10/24, "2001:db8:0::10/64"]
      gateways: [192.0.2.1, "fe80::1"]
      routes: [{to: 10.0.0.0/8, via: 192.0.2.254, metric: 100}, {to: default, via: "2001:db8::2"}]
      dns: [192.0.2.53, "2001:db8::53"]
      search: [example.org, lab.example.org]
      mtu: 9000
    - {mac: "52:54:00:12:34:5A", dhcp: ipv4, addresses: ["2001:db8:1::1/64"]}
    - {name: "wan*"}
    - {name: vlan10, vlan: {id: 10, parent: enp1s0}, addresses: [198.51.100.2/31], gateways: [198.51.100.3]}
"""
NETWORKD = {
    "20-enp1s0.network": """[Match]
Name=enp1s0

[Link]
MTUBytes=9000

[Network]
DHCP=no
IPv6AcceptRA=no
Address=192.0.2.10/24
Address=2001:db8::10/64
Gateway=192.0.2.1
Gateway=fe80::1
DNS=192.0.2.53
DNS=2001:db8::53
Domains=example.org lab.example.org
VLAN=vlan10

[Route]
Destination=10.0.0.0/8
Gateway=192.0.2.254
Metric=100

[Route]
Destination=::/0
Gateway=2001:db8::2
""",
    "20-52-54-00-12-34-5a.network": """[Match]
MACAddress=52:54:00:12:34:5a

[Network]
DHCP=ipv4
IPv6AcceptRA=no
Address=2001:db8:1::1/64
""",
    "30-wan+.network": "[Match]\nName=wan*\n\n[Network]\nDHCP=yes\nIPv6AcceptRA=yes\n",
    "10-vlan10.netdev": "[NetDev]\nName=vlan10\nKind=vlan\n\n[VLAN]\nId=10\n",
    "10-vlan10.network": """[Match]
Name=vlan10

[Network]
DHCP=no
IPv6AcceptRA=no
Address=198.51.100.2/31
Gateway=198.51.100.3
""",
}
NETWORK_MANAGER = {
    "enp1s0": """[connection]
id=enp1s0
type=ethernet
interface-name=enp1s0

[ethernet]
mtu=9000

[ipv4]
method=manual
address1=192.0.2.10/24
gateway=192.0.2.1
dns=192.0.2.53;
dns-search=example.org;lab.example.org;
route1=10.0.0.0/8,192.0.2.254,100

[ipv6]
method=manual
address1=2001:db8::10/64
gateway=fe80::1
dns=2001:db8::53;
dns-search=example.org;lab.example.org;
route1=::/0,2001:db8::2
""",
    "52-54-00-12-34-5a": """[connection]
id=52-54-00-12-34-5a
type=ethernet

[ethernet]
mac-address=52:54:00:12:34:5a

[ipv4]
method=auto

[ipv6]
method=manual
address1=2001:db8:1::1/64
""",
    "wan+": """[connection]
id=wan+
type=ethernet
multi-connect=3

[match]
interface-name=wan*;

[ipv4]
method=auto

[ipv6]
method=auto
""",
    "vlan10": """[connection]
id=vlan10
type=vlan
interface-name=vlan10

[vlan]
id=10
parent=enp1s0

[ipv4]
method=manual
address1=198.51.100.2/31
gateway=198.51.100.3

[ipv6]
method=link-local
""",
}
CONNECTIONS = "/etc/NetworkManager/system-connections"
CLOUD = "/etc/cloud/cloud.cfg.d/91-compose-network.cfg"


@pytest.mark.parametrize(
    ("distro", "more"),
    [
        ("debian-12", ""),
        ("debian-13", "cloud_init: {}\n"),
        ("fedora-43", "packages: [systemd-networkd]\nexclude: [NetworkManager]\n"),
    ],
)
def test_networkd(distro: str, more: str) -> None:
    document = compiled(blueprint(HEAD.format(distro) + more + NETWORK))
    check_options(document)
    found = files(document)
    ours = {path.rpartition("/")[2] for path in found if path.startswith("/etc/systemd/network/")}
    assert ours - {"80-dhcp.network"} == set(NETWORKD)
    assert {name: found[f"/etc/systemd/network/{name}"]["content"] for name in NETWORKD} == NETWORKD
    assert (CLOUD in found) == ("cloud_init" in more)


@pytest.mark.parametrize(("distro", "more"), [("debian-13", "packages: [network-manager]\n"), ("centos-10", "")])
def test_network_manager(distro: str, more: str) -> None:
    document = compiled(blueprint(HEAD.format(distro) + more + NETWORK))
    check_options(document)
    found = {path.rpartition("/")[2]: item for path, item in files(document).items() if path.startswith(CONNECTIONS)}
    assert {name.removesuffix(".nmconnection"): item["content"] for name, item in found.items()} == NETWORK_MANAGER
    assert {item["mode"] for item in found.values()} == {"0600"}


@pytest.mark.parametrize(
    ("interfaces", "column", "message"),
    [
        ("{dhcp: true}", 16, "an interface needs a `name` or a `mac`"),
        ("{name: eth0}, {name: eth0, mtu: 1500}", 37, "`network` has eth0 twice"),
        ("{name: wlan0}", 23, "is Wi-Fi, whose passphrase would be in every copy"),
        ("{name: a, addresses: [192.0.2.10]}", 38, "192.0.2.10 has no length of its network; write the number"),
        ("{name: a, addresses: [192.0.2.300/24]}", 38, "does not appear to be an IPv4 or IPv6 interface"),
        ("{name: a, addresses: [192.0.2.0/24]}", 38, "192.0.2.0/24 is the network's own address"),
        ("{name: a, addresses: [192.0.2.255/24]}", 38, "192.0.2.255/24 is the address for all of 192.0.2.0/24"),
        ("{name: a, addresses: [127.0.0.1/8]}", 38, "127.0.0.1/8 cannot be the address of a machine"),
        ("{name: a, addresses: ['::1/64', '::01/64']}", 38, "::1/64 cannot be the address"),
        ("{name: a, addresses: [192.0.2.1/24]}, {name: b, addresses: [192.0.2.1/25]}", 76, "is already the address"),
        ("{name: a, addresses: &all [192.0.2.1/24]}, {name: b, addresses: *all}", 43, "is already the address"),
        (
            "{name: a, addresses: [192.0.2.2/24], gateways: [192.0.3.1]}",
            64,
            "is outside of the interface's network 192",
        ),
        ("{name: a, addresses: [192.0.2.2/24], gateways: [192.0.2.2]}", 64, "is the interface's own address"),
        (
            "{name: a, addresses: [192.0.2.2/24], gateways: [192.0.2.1, 192.0.2.3]}",
            75,
            "192.0.2.1 is one of IPv4 already",
        ),
        ("{name: a, addresses: [192.0.2.2/24], gateways: ['2001:db8::1']}", 64, "the interface has no address of IPv6"),
        ("{name: a, routes: [{to: 10.0.0.1/8, via: 192.0.2.1}]}", 40, "10.0.0.1/8 has host bits set"),
        ("{name: a, routes: [{to: 10.0.0.0/8, via: '2001::1'}]}", 57, "2001::1 is an address of IPv6, and 10.0.0.0/8"),
        ("{name: a, dns: [example]}", 32, "is not an address such as 192.0.2.53"),
        ("{name: a, dns: [1.2.3]}", 32, "1.2.3 is not an address"),
        ("{name: b, vlan: {id: 4095, parent: a}}, {name: a}", 37, "`id` must not be more than 4094"),
        (
            "{name: b, vlan: {id: 1, parent: eth}}, {name: eth0}",
            48,
            "no other interface is called eth; did you mean `eth0`?",
        ),
        ("{name: .., dhcp: true}", 23, "is not the name of a network interface"),
        ("{mac: 'aa:00:00:00:00:01'}, {mac: 'AA:00:00:00:00:01'}", 50, "`network` has AA:00:00:00:00:01 twice"),
        ("{mac: '01:00:5e:00:00:01'}", 22, "01:00:5e:00:00:01 is not the address of one card"),
        ("{name: a, addresses: [255.255.255.255/32]}", 38, "cannot be the address of a machine"),
        ("{name: a, gateways: [0.0.0.0]}", 37, "`gateways`: 0.0.0.0 cannot be the address of a machine"),
        ("{name: a, addresses: [192.0.2.2/24], gateways: [192.0.2.255]}", 64, "is the address for all of 192.0.2.0/24"),
        ("{name: a, dns: ['::']}", 32, "`dns`: :: cannot be the address of a machine"),
        ("{name: a, dhcp: ipv6, dns: [192.0.2.53]}", 44, "`dns`: the interface has no address of IPv4"),
        ("{name: a, search: [a..b]}", 35, "is not the name of a domain"),
        (
            "{name: a, gateways: [192.0.2.1], routes: [{to: 0.0.0.0/0, via: 192.0.2.9}]}",
            63,
            "the interface has a route to 0.0.0.0/0 already; give them different values of `metric`",
        ),
        ("{name: 'a*'}, {name: b, vlan: {id: 1, parent: 'a*'}}", 62, "a* stands for several interfaces"),
        ("{name: a}, {name: '7', vlan: {id: 1, parent: a}}", 34, "no interface can be called 7"),
        ("{name: a, vlan: {id: 1, parent: b}}, {name: b, vlan: {id: 1, parent: a}}", 48, "b is itself a VLAN of a"),
        ("{name: e}, {name: a, vlan: {id: 1, parent: e}}, {name: b, vlan: {id: 1, parent: e}}", 85, "a is VLAN 1 of e"),
        (
            "{name: e, mtu: 1500}, {name: a, mtu: 9000, vlan: {id: 1, parent: e}}",
            53,
            "cannot have more than its parent e",
        ),
        ("{name: b, wifi: {ssid: x}}", 26, "a passphrase of Wi-Fi would be in every copy of the image"),
    ],
)
def test_wrong(interfaces: str, column: int, message: str) -> None:
    with pytest.raises(InputError) as caught:
        blueprint(HEAD.format("debian-12") + f"network:\n  interfaces: [{interfaces}]\n")
    error = next(iter(caught.value.each()))
    assert message in f"{error.brief}; {error.hint}"
    assert str(error.location).startswith(f"b.yaml:4:{column}")


def test_a_gateway_may_be_one_that_dhcp_makes_reachable() -> None:
    found = blueprint(HEAD.format("debian-12") + "network: {interfaces: [{name: a, gateways: [192.0.2.1]}]}\n")
    assert found.network
    assert found.network.interfaces[0].dhcp is True


def test_each_interface_has_files_of_its_own() -> None:
    names = ["a_", "a*", "a?"]
    text = (
        HEAD.format("fedora-43") + f"network: {{interfaces: [{', '.join(f'{{name: {name!r}}}' for name in names)}]}}\n"
    )
    assert len([path for path in files(compiled(blueprint(text))) if path.startswith(CONNECTIONS)]) == len(names)


def test_network_manager_gets_no_settings_that_it_refuses() -> None:
    interface = "{name: a, dhcp: ipv4, gateways: [192.0.2.1, 'fe80::1'], dns: [192.0.2.53], search: [example.org]}"
    found = files(compiled(blueprint(HEAD.format("fedora-43") + f"network: {{interfaces: [{interface}]}}\n")))
    _, ipv4, ipv6 = found[f"{CONNECTIONS}/a.nmconnection"]["content"].split("\n\n")
    assert ipv4.splitlines() == [
        "[ipv4]",
        "method=auto",
        "dns=192.0.2.53;",
        "dns-search=example.org;",
        "route1=0.0.0.0/0,192.0.2.1",
    ]
    assert ipv6.splitlines() == ["[ipv6]", "method=link-local", "route1=::/0,fe80::1"]
