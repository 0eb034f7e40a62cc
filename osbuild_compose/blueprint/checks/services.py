"""Services, units, timers, cron jobs, first-boot scripts, and the firewall."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from osbuild_compose.blueprint.select import ANY, in_two_lists, repeated, texts
from osbuild_compose.blueprint.values import ports, schedules
from osbuild_compose.problem import Problem, within

_SECTION = re.compile(r"^\[[A-Za-z0-9-]+\]\s*$", re.MULTILINE)


def problems(data: Any) -> Iterator[Problem]:
    """All problems of the keys that start programs in the running system or open it to the network."""
    yield from in_two_lists(data, ("services",), ("enabled", "disabled", "masked"))
    for key in ("units", "timers", "cron", "first_boot"):
        yield from repeated(data, key, ANY, "name")
    yield from _units(data)
    yield from _firewall(data)
    for trail, text in texts(data, "cron", ANY, "schedule"):
        yield from within(trail, schedules.cron_problems(text))
    for trail, text in texts(data, "timers", ANY, "schedule"):
        yield from within(trail, schedules.calendar_problems(text))


def _units(data: Any) -> Iterator[Problem]:
    for keys in (("units", ANY), ("units", ANY, "dropins", ANY)):
        for trail, content in texts(data, *keys, "content"):
            if not _SECTION.search(content):  # systemd silently treats such a unit or drop-in as empty
                yield Problem(trail, "`content` has no section of a unit, such as [Service]")
    units = {name for _, name in texts(data, "units", ANY, "name")}
    for trail, name in texts(data, "timers", ANY, "name"):
        if taken := {f"{name}.service", f"{name}.timer"} & units:
            yield Problem(trail, f"`timers`: {min(taken)} is already in `units`", "give one of them another name")


def _firewall(data: Any) -> Iterator[Problem]:
    for trail, text in texts(data, "firewall", "ports", ANY):
        try:
            ports.numbered(text)
        except ValueError as error:
            hint = "" if text[:1].isdigit() else "write its number, or name the service in `services`"
            yield Problem(trail, f"`ports`: {error}", hint)
    for trail, text in texts(data, "firewall", "zones", ANY, "sources", ANY):
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            yield Problem(trail, f"`sources`: {error}")
    yield from repeated(data, "firewall", "zones", ANY, "name")
    yield from in_two_lists(data, ("firewall", "services"), ("enabled", "disabled"))
