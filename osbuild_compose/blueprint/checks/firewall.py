"""Firewall: ports, services and zones."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from osbuild_compose.blueprint.select import ANY, in_two_lists, repeated, texts
from osbuild_compose.problem import Problem

_PORTS = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?:[a-z]+", re.ASCII)


def problems(data: Any) -> Iterator[Problem]:
    """All problems of `firewall`."""
    for trail, text in texts(data, "firewall", "ports", ANY):
        if match := _PORTS.fullmatch(text):
            first, last = int(match[1]), int(match[2] or match[1])
            if not 0 < first <= last < 65536:
                yield Problem(trail, f"`ports`: {text} is not a port or an ascending range between 1 and 65535")
    for trail, text in texts(data, "firewall", "zones", ANY, "sources", ANY):
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            yield Problem(trail, f"`sources`: {error}")
    yield from repeated(data, "firewall", "zones", ANY, "name")
    yield from in_two_lists(data, ("firewall", "services"), ("enabled", "disabled"))
