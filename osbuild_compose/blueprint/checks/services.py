"""Services, units, timers, cron jobs, first-boot scripts, and the firewall."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from osbuild_compose.blueprint.select import ANY, in_two_lists, repeated, texts
from osbuild_compose.blueprint.values import addresses, ports, schedules
from osbuild_compose.document.node import Trail
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.problem import Problem, within

_IPSET = "ipset:"  # before the name of an ipset among the sources of a zone
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
    ipsets = [name for _, name in texts(data, "firewall", "ipsets", ANY, "name")]
    seen: dict[str, str] = {}  # firewalld does not start with a source that two zones have
    for trail, text in texts(data, "firewall", "zones", ANY, "sources", ANY):
        if text.startswith(_IPSET):
            name = text.removeprefix(_IPSET)
            if name not in ipsets:
                hint = did_you_mean(name, ipsets, otherwise="list its addresses in `firewall.ipsets`")
                yield Problem(trail, f"`sources`: there is no ipset {name} in `ipsets`", hint)
        try:
            source = text if text.startswith(_IPSET) else addresses.canonical(text)
        except ValueError as error:
            yield Problem(trail, f"`sources`: {error}")
            continue
        if source in seen:
            yield Problem(trail, f"`sources`: {text} is in a zone already", "a source has one zone: remove one of them")
        seen[source] = text
    yield from _ipset_entries(data)
    yield from repeated(data, "firewall", "ipsets", ANY, "name")
    yield from repeated(data, "firewall", "zones", ANY, "name")
    yield from in_two_lists(data, ("firewall", "services"), ("enabled", "disabled"))


def _ipset_entries(data: Any) -> Iterator[Problem]:
    """Entries that are no addresses, and those of another kind than the first of their ipset: one has one kind."""
    first: dict[Any, tuple[str, str]] = {}
    kept: dict[Any, list[tuple[Trail, str]]] = {}
    for trail, text in texts(data, "firewall", "ipsets", ANY, "entries", ANY):
        try:
            kind = addresses.kind_of(text)
        except ValueError as error:
            yield Problem(trail, f"`entries`: {error}")
            continue
        other, before = first.setdefault(trail[2], (kind, text))
        if kind != other:
            brief = f"`entries`: {text} is an address of {kind} and {before} one of {other}, and an ipset has one kind"
            yield Problem(trail, brief, "make two ipsets, and name both in the zone's `sources`")
        else:
            kept.setdefault(trail[2], []).append((trail, text))
    for entries in kept.values():
        for trail, text, other in _overlapping(entries):
            yield Problem(trail, f"`entries`: {text} overlaps with {other}", "leave the smaller one out")


def _overlapping(entries: Sequence[tuple[Trail, str]]) -> Iterator[tuple[Trail, str, str]]:
    """The entries that are in another one before them in the order of addresses, and that one."""
    ordered = sorted((addresses.bounds(text), number) for number, (_, text) in enumerate(entries))
    widest = -1
    holder = ""
    for (low, high), number in ordered:
        trail, text = entries[number]
        if low <= widest:
            yield trail, text, holder
        if high > widest:
            widest, holder = high, text
