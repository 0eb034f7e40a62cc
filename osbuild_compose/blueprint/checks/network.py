"""The network: interfaces, addresses, gateways, routes, name servers and VLANs."""

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from osbuild_compose.blueprint.network import WILDCARDS, Route
from osbuild_compose.blueprint.select import ANY, repeated, texts, values
from osbuild_compose.blueprint.values.addresses import is_mac, prefix_length
from osbuild_compose.document.node import Trail
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.problem import Problem

_INTERFACES = ("network", "interfaces", ANY)
_WIRELESS = "wl"  # what systemd and the kernel call cards of Wi-Fi
_Address = ipaddress.IPv4Interface | ipaddress.IPv6Interface
_EVERYBODY = ipaddress.ip_address("255.255.255.255")
_GROUP = 1  # the bit of the first byte of a MAC address that makes it one of many cards
_RESERVED = ("all", "default")  # files below /proc/sys/net that are not of interfaces
_SMALL = 2  # addresses of a network in which none stands for the network or for all of its machines, RFC 3021


def problems(data: Any) -> Iterator[Problem]:
    """All problems of `network`."""
    yield from repeated(data, *_INTERFACES, "name")
    yield from _cards(data)
    yield from _vlans(data)
    names = {name for _, name in texts(data, *_INTERFACES, "name")}
    seen: dict[str, str] = {}
    for trail, item in values(data, *_INTERFACES):
        if isinstance(item, dict):
            yield from _matched(trail, item)
            yield from _vlan(trail, item, names)
            yield from _addresses(trail, item, seen)


def _cards(data: Any) -> Iterator[Problem]:
    """MAC addresses that no card has, and those that are there twice."""
    seen: set[str] = set()
    for trail, text in texts(data, *_INTERFACES, "mac"):
        if not is_mac(text):
            continue  # the schema reports it
        mac = text.lower()
        if mac in seen:
            yield Problem(trail, f"`network` has {text} twice")
        elif int(mac[:2], 16) & _GROUP or mac == "00:00:00:00:00:00":
            yield Problem(trail, f"`mac`: {text} is not the address of one card", "`ip link` shows the addresses")
        seen.add(mac)


def _vlans(data: Any) -> Iterator[Problem]:
    """VLANs that the kernel would refuse next to the others."""
    items = {
        item["name"]: (trail, item)
        for trail, item in values(data, *_INTERFACES)
        if isinstance(item, dict) and isinstance(item.get("name"), str)
    }
    parents = {name: _part(item, "parent") for name, (_, item) in items.items()}
    seen: dict[tuple[str, int], str] = {}
    for name, (trail, item) in items.items():
        parent, number = parents[name], _part(item, "id")
        if not isinstance(parent, str) or parent not in items or parent == name:
            continue
        if isinstance(number, int) and (other := seen.setdefault((parent, number), name)) != name:
            yield Problem((*trail, "vlan", "id"), f"`id`: {other} is VLAN {number} of {parent} already")
        above, passed = parents[parent], {parent}
        while isinstance(above, str) and above not in passed:
            passed.add(above)
            above = parents.get(above)
        if name in passed:
            yield Problem((*trail, "vlan", "parent"), f"`parent`: {parent} is itself a VLAN of {name}")
        mtu, most = item.get("mtu"), items[parent][1].get("mtu")
        if isinstance(mtu, int) and isinstance(most, int) and mtu > most:
            yield Problem((*trail, "mtu"), f"`mtu`: a VLAN cannot have more than its parent {parent}, which has {most}")


def _part(item: Mapping[str, Any], key: str) -> object:
    """A value of the interface's `vlan`."""
    vlan = item.get("vlan")
    return vlan.get(key) if isinstance(vlan, dict) else None


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
    elif name.isdecimal() or name in _RESERVED:
        yield Problem((*trail, "name"), f"`name`: no interface can be called {name}", "for example: vlan10")
    if "mac" in item:
        yield Problem((*trail, "mac"), "a VLAN has the MAC address of its `parent`", "leave `mac` out")
    parent = vlan.get("parent")
    if not isinstance(parent, str):
        return
    if parent not in names or parent == name:
        hint = did_you_mean(parent, names - {name}, otherwise=f"add it: {{name: {parent}}}")
        yield Problem((*trail, "vlan", "parent"), f"`parent`: no other interface is called {parent}", hint)
    elif any(character in parent for character in WILDCARDS):
        brief = f"`parent`: {parent} stands for several interfaces"
        yield Problem((*trail, "vlan", "parent"), brief, "list the parent by its own name")


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
        place, hint = (*trail, "dns", index), "a name server is named by its address"
        try:
            server = ipaddress.ip_address(text)
        except ValueError:
            yield Problem(place, f"`dns`: {text} is not an address", hint)
            continue
        if server.is_unspecified or server.is_multicast:
            yield Problem(place, f"`dns`: {text} cannot be the address of a machine", hint)
        elif automatic not in (True, f"ipv{server.version}") and all(one.version != server.version for one in own):
            brief = f"`dns`: the interface has no address of IPv{server.version}"
            yield Problem(place, brief, "name the server for an interface that has one")


def _unusable(address: _Address) -> str:
    """Why no machine can have the address."""
    net = address.network
    if address.ip.is_unspecified or address.ip.is_multicast or address.ip.is_loopback or address.ip == _EVERYBODY:
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
    seen = {_of_one_kind(Route("default", text)) for _, text in _texts(item, "gateways")}
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
        metric = route.get("metric")
        key = _of_one_kind(Route(route["to"], route["via"], metric if isinstance(metric, int) else None))
        if key in seen:
            hint = "give them different values of `metric`: the lowest one counts"
            yield Problem((*place, "to"), f"`to`: the interface has a route to {route['to']} already", hint)
        seen.add(key)
        yield from _reachable((*place, "via"), "via", route["via"], own, automatic)


def _of_one_kind(route: Route) -> tuple[str, int, str]:
    """What is different in the routes that an interface can have beside each other: IPv6 has several of one metric."""
    via = route.via if ":" in route.via else ""
    return str(ipaddress.ip_network(route.destination)), route.metric or 0, via


def _reachable(place: Trail, key: str, text: str, own: list[_Address], automatic: object) -> Iterator[Problem]:
    """A problem if the address is in no network of the interface, so that no packet would get there."""
    found = ipaddress.ip_address(text)
    networks = [address.network for address in own if address.version == found.version]
    holder = next((network for network in networks if found in network), None)
    if why := _unusable(ipaddress.ip_interface(f"{found}/{holder.prefixlen}" if holder else str(found))):
        yield Problem(place, f"`{key}`: {text} {why}")
    elif found.is_link_local or any(found in network for network in networks):
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
