"""The network: interfaces, addresses, gateways, routes, name servers and VLANs."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from osbuild_compose.blueprint.network import WILDCARDS
from osbuild_compose.blueprint.select import ANY, repeated, texts, values
from osbuild_compose.blueprint.values.addresses import prefix_length
from osbuild_compose.document.node import Trail
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.problem import Problem

_INTERFACES = ("network", "interfaces", ANY)
_WIRELESS = "wl"  # what systemd and the kernel call cards of Wi-Fi
_Address = ipaddress.IPv4Interface | ipaddress.IPv6Interface
_SMALL = 2  # addresses of a network in which none stands for the network or for all of its machines, RFC 3021


def problems(data: Any) -> Iterator[Problem]:
    """All problems of `network`."""
    for key in ("name", "mac"):
        yield from repeated(data, *_INTERFACES, key)
    names = {name for _, name in texts(data, *_INTERFACES, "name")}
    seen: dict[str, str] = {}
    for trail, item in values(data, *_INTERFACES):
        if isinstance(item, dict):
            yield from _matched(trail, item)
            yield from _vlan(trail, item, names)
            yield from _addresses(trail, item, seen)


def _matched(trail: Trail, item: Mapping[str, Any]) -> Iterator[Problem]:
    name = item.get("name")
    if name is None and "mac" not in item:
        yield Problem(trail, "an interface needs a `name` or a `mac`", "for example: {name: eth0, dhcp: true}")
    if isinstance(name, str) and name.startswith(_WIRELESS):
        brief = f"`name`: {name} is Wi-Fi, whose passphrase would be in every copy of the image"
        hint = "set it up on the machine, or write NetworkManager's or iwd's file yourself, in `files`"
        yield Problem((*trail, "name"), brief, hint)


def _vlan(trail: Trail, item: Mapping[str, Any], names: set[str]) -> Iterator[Problem]:
    vlan, name = item.get("vlan"), item.get("name")
    if not isinstance(vlan, dict):
        return
    if not isinstance(name, str) or any(character in name for character in WILDCARDS):
        yield Problem((*trail, "vlan"), "a VLAN needs a `name` of its own", "for example: vlan10")
    if "mac" in item:
        yield Problem((*trail, "mac"), "a VLAN has the MAC address of its `parent`", "leave `mac` out")
    parent = vlan.get("parent")
    if not isinstance(parent, str):
        return
    if parent not in names or parent == name:
        hint = did_you_mean(parent, names - {name}, otherwise=f"add it: {{name: {parent}}}")
        yield Problem((*trail, "vlan", "parent"), f"`parent`: no other interface is called {parent}", hint)


def _addresses(trail: Trail, item: Mapping[str, Any], seen: dict[str, str]) -> Iterator[Problem]:
    """Problems of an interface's addresses, and of what has to be in one of their networks."""
    own: list[_Address] = []
    for index, text in _texts(item, "addresses"):
        place = (*trail, "addresses", index)
        try:
            address = ipaddress.ip_interface(text)
            prefix_length(text)
        except ValueError as error:
            length = "64" if ":" in text else "24"
            hint = f"write the number of its network's bits, too: {text}/{length}" if "/" not in text else ""
            yield Problem(place, f"`addresses`: {error}", hint)
            continue
        ip = str(address.ip)
        if why := _unusable(address):
            yield Problem(place, f"`addresses`: {text} {why}")
        elif ip in seen:
            yield Problem(place, f"`addresses`: {text} is already the address {seen[ip]} of an interface")
        else:
            seen[ip] = text
        own.append(address)
    automatic = item.get("dhcp", not own)
    yield from _gateways(trail, item, own, automatic=automatic)
    yield from _routes(trail, item, own, automatic=automatic)
    for index, text in _texts(item, "dns"):
        try:
            ipaddress.ip_address(text)
        except ValueError:
            brief = f"`dns`: {text} is not an address"
            yield Problem((*trail, "dns", index), brief, "a name server is named by its address")


def _unusable(address: _Address) -> str:
    """Why no machine can have the address."""
    net = address.network
    if address.ip.is_unspecified or address.ip.is_multicast or address.ip.is_loopback:
        return "cannot be the address of a machine"
    if address.version == 4 and net.num_addresses > _SMALL:
        if address.ip == net.network_address:
            return f"is the network's own address, not that of a machine in {net}"
        if address.ip == net.broadcast_address:
            return f"is the address for all of {net}"
    return ""


def _gateways(trail: Trail, item: Mapping[str, Any], own: list[_Address], *, automatic: object) -> Iterator[Problem]:
    before: dict[int, str] = {}
    for index, text in _texts(item, "gateways"):
        place = (*trail, "gateways", index)
        try:
            gateway = ipaddress.ip_address(text)
        except ValueError:
            yield Problem(place, f"`gateways`: {text} is not an address")
            continue
        if gateway.version in before:
            brief = f"`gateways`: {before[gateway.version]} is one of IPv{gateway.version} already"
            yield Problem(place, brief, "write a route instead")
        before.setdefault(gateway.version, text)
        yield from _reachable(place, "gateways", text, own, automatic)


def _routes(trail: Trail, item: Mapping[str, Any], own: list[_Address], *, automatic: object) -> Iterator[Problem]:
    routes = item.get("routes")
    for index, route in enumerate(routes if isinstance(routes, list) else ()):
        if not isinstance(route, dict) or not all(isinstance(route.get(key), str) for key in ("to", "via")):
            continue
        place = (*trail, "routes", index)
        try:
            via = ipaddress.ip_address(route["via"])
        except ValueError:
            yield Problem((*place, "via"), f"`via`: {route['via']} is not an address")
            continue
        if route["to"] != "default":
            try:
                net = ipaddress.ip_network(route["to"])
            except ValueError as error:
                yield Problem((*place, "to"), f"`to`: {error}", "write a network, such as 10.0.0.0/8, or default")
                continue
            if net.version != via.version:
                brief = f"`via`: {via} is an address of IPv{via.version}, and {net} is a network of IPv{net.version}"
                yield Problem((*place, "via"), brief)
                continue
        yield from _reachable((*place, "via"), "via", route["via"], own, automatic)


def _reachable(place: Trail, key: str, text: str, own: list[_Address], automatic: object) -> Iterator[Problem]:
    """A problem if the address is in no network of the interface, so that no packet would get there."""
    found = ipaddress.ip_address(text)
    networks = [address.network for address in own if address.version == found.version]
    if found.is_link_local or any(found in network for network in networks):
        if any(found == address.ip for address in own):
            yield Problem(place, f"`{key}`: {text} is the interface's own address")
    elif networks:
        shown = ", ".join(map(str, networks))
        yield Problem(place, f"`{key}`: {text} is outside of the interface's network {shown}")
    elif automatic not in (True, f"ipv{found.version}"):
        yield Problem(place, f"`{key}`: the interface has no address of IPv{found.version}", "add one to `addresses`")


def _texts(item: Mapping[str, Any], key: str) -> Iterator[tuple[int, str]]:
    found = item.get(key)
    for index, text in enumerate(found if isinstance(found, list) else ()):
        if isinstance(text, str):
            yield index, text
