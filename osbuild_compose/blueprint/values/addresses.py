"""Addresses as blueprints have them: of IPv4, of IPv6, and of network cards."""

import ipaddress
import re

MAC = "MAC"
_MAC = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}")


def is_mac(text: str) -> bool:
    """Whether this is the address of a network card, such as 52:54:00:12:34:56."""
    return _MAC.fullmatch(text) is not None


def kind_of(text: str) -> str:
    """The kind of an address or a network: IPv4, IPv6 or MAC. Raises ValueError, which says what is wrong."""
    return MAC if is_mac(text) else f"IPv{ipaddress.ip_network(text).version}"


def canonical(text: str) -> str:
    """The address or network in the form that is the same for all that mean it. Raises ValueError."""
    return text.lower() if is_mac(text) else str(ipaddress.ip_network(text))


def bounds(text: str) -> tuple[int, int]:
    """The first and the last address of a network, or of an address, as numbers. Raises ValueError."""
    if is_mac(text):
        number = int(text.replace(":", ""), 16)
        return number, number
    network = ipaddress.ip_network(text)
    return int(network.network_address), int(network.broadcast_address)


def prefix_length(text: str) -> int:
    """The number of bits of an interface's network: 24 of 192.0.2.10/24. Raises ValueError."""
    if "/" not in text:
        raise ValueError(f"{text} has no length of its network")
    return ipaddress.ip_interface(text).network.prefixlen
