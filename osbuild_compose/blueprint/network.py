"""The network of the image: interfaces with addresses that DHCP gives or that the blueprint has."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from osbuild_compose.blueprint.values.addresses import prefix_length

WILDCARDS = "*?["
_IN_FILE_NAMES = str.maketrans({":": "-", "*": "+", "?": "="})  # by characters that names do not have


@dataclass(frozen=True)
class Route:
    """The way to a network, "default" for all that no other route is for; metric: the lowest one counts."""

    to: str
    via: str
    metric: int | None = None

    @property
    def destination(self) -> str:
        """The network as an address and the number of its bits."""
        if self.to != "default":
            return self.to
        return "::/0" if ":" in self.via else "0.0.0.0/0"

    @property
    def version(self) -> int:
        """4 or 6."""
        return ipaddress.ip_address(self.via).version


@dataclass(frozen=True)
class Vlan:
    """The VLAN `id` of the interface `parent`."""

    id: int
    parent: str


@dataclass(frozen=True)
class Interface:
    """A network interface, by its name (or a pattern of names) or by its MAC address.

    dhcp: whether it gets addresses by DHCP and router advertisements, or only those of "ipv4" or "ipv6".
    """

    name: str | None = None
    mac: str | None = None
    dhcp: bool | str = True
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    dns: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    mtu: int | None = None
    vlan: Vlan | None = None

    @property
    def label(self) -> str:
        """What it is called in the names of files; no two have the same."""
        named = self.name if self.name and not self.is_pattern else (self.mac or self.name or "")
        return named.translate(_IN_FILE_NAMES)

    @property
    def is_pattern(self) -> bool:
        """Whether its name stands for many."""
        return any(character in WILDCARDS for character in self.name or "")

    @property
    def ip(self) -> Mapping[int, "Settings"]:
        """What it has of each version of IP, 4 and 6."""
        return {version: self._settings(version) for version in (4, 6)}

    def _settings(self, version: int) -> "Settings":
        return Settings(
            automatic=self.dhcp is True or self.dhcp == f"ipv{version}",
            addresses=_of(version, self.addresses),
            gateway=next(iter(_of(version, self.gateways)), None),
            dns=_of(version, self.dns),
            routes=tuple(route for route in self.routes if route.version == version),
        )


@dataclass(frozen=True)
class Settings:
    """What an interface has of one version of IP. automatic: it gets addresses from the network."""

    automatic: bool
    addresses: tuple[str, ...]
    gateway: str | None
    dns: tuple[str, ...]
    routes: tuple[Route, ...]


@dataclass(frozen=True)
class Network:
    """The interfaces that the blueprint sets up."""

    interfaces: tuple[Interface, ...] = ()


def convert(data: Mapping[str, Any]) -> Network:
    """The network of a valid blueprint."""
    return Network(tuple(map(_interface, data["interfaces"])))


def _interface(data: Mapping[str, Any]) -> Interface:
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    addresses = tuple(map(_address, data.get("addresses", ())))
    return Interface(
        **{
            **fields,
            "dhcp": data.get("dhcp", not addresses),
            "addresses": addresses,
            "mac": data["mac"].lower() if "mac" in data else None,
            "routes": tuple(Route(**route) for route in data.get("routes", ())),
            "vlan": Vlan(**data["vlan"]) if "vlan" in data else None,
        }
    )


def _address(text: str) -> str:
    return f"{ipaddress.ip_interface(text).ip}/{prefix_length(text)}"


def _of(version: int, addresses: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text for text in addresses if ipaddress.ip_interface(text).version == version)
