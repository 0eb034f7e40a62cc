"""What apt needs to know of several repositories together: options that they share, and pins of priorities."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from osbuild_compose.distro.repository import DebRepository

_RELEASE = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")  # what can be the name of a release in a pin


@dataclass(frozen=True)
class Pin:
    """A priority for all packages of a repository, which `pin` identifies as apt_preferences(5) has it."""

    pin: str
    priority: int

    @property
    def stanza(self) -> str:
        """The pin as a file of apt's preferences has it."""
        return f"Package: *\nPin: {self.pin}\nPin-Priority: {self.priority}\n"


def unified(repositories: Sequence[DebRepository]) -> tuple[DebRepository, ...]:
    """The repositories, with the same options for those that share an address and a suite: apt wants them equal.

    They are signed together, so the keys of any will do; without keys, which stands for the distribution's own, the
    others need none. An expired index is accepted if one of them accepts it, an unsigned one if all do.
    """
    found = []
    for item in repositories:
        same = [other for other in repositories if other is item or _share(item, other)]
        signed = [other for other in same if other.check_signatures]
        has_own = all(other.keys for other in signed)
        found.append(
            replace(
                item,
                keys=tuple(dict.fromkeys(key for other in signed for key in other.keys)) if has_own else (),
                check_signatures=bool(signed),
                check_valid_until=all(other.check_valid_until for other in same),
            )
        )
    return tuple(found)


def _share(one: DebRepository, other: DebRepository) -> bool:
    if one.directory or other.directory:  # each is read from a directory of its own
        return False
    return one.url.rstrip("/") == other.url.rstrip("/") and not {*one.suites}.isdisjoint(other.suites)


def pins(repositories: Sequence[DebRepository]) -> tuple[Pin, ...]:
    """The pins that give those with a priority theirs. Those that unclear() returns have none."""
    found = [
        Pin(pin, item.priority)
        for item in repositories
        if item.priority is not None
        for pin in _pins(item, repositories)
    ]
    return tuple(dict.fromkeys(found))


def unclear(repositories: Sequence[DebRepository]) -> list[DebRepository]:
    """The repositories with a priority that no pin can tell from others with another one."""
    return [item for item in repositories if item.priority is not None and not _pins(item, repositories)]


def _pins(item: DebRepository, repositories: Sequence[DebRepository]) -> list[str]:
    """By the first of these in which they differ: machine, suites, components."""
    others = [other for other in repositories if other.priority != item.priority]
    if _host(item) not in map(_host, others):
        return [f'origin "{_host(item)}"']
    suites = {suite for other in others for suite in other.suites}
    if suites.isdisjoint(item.suites) and all(map(_RELEASE.fullmatch, item.suites)):
        return [f"release {suite}" for suite in item.suites]
    components = {component for other in others for component in other.components}
    if item.components and components.isdisjoint(item.components):
        return [f"release c={component}" for component in item.components]
    return []


def _host(item: DebRepository) -> str:
    return "" if item.directory else urlsplit(item.url).hostname or ""
