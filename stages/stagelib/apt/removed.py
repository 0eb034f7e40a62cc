"""What installing packages removed, as conflicts between packages make apt do, and for which package."""

import re
from collections.abc import Iterable, Mapping, Sequence

from stagelib.apt.package import Stanza, parse_control, provided_names, related_names

Installed = Mapping[str, Stanza]
"""Packages by their names."""


def installed(status: str) -> Installed:
    """The installed packages in the text of a dpkg status file. Raises DebError if it is not one."""
    stanzas = (parse_control(text) for text in re.split(r"\n{2,}", status) if text.strip())
    return {one["Package"]: one for one in stanzas if "Package" in one and one.get("Status", "").endswith(" installed")}


def notes(before: Installed, after: Installed, requested: Sequence[str]) -> list[str]:
    """A sentence for each package that is gone: which one it conflicts with, and for which of `requested` that came."""
    gone = {name: stanza for name, stanza in before.items() if name not in after}
    new = {name: stanza for name, stanza in after.items() if before.get(name) != stanza}
    found = []
    for name, stanza in sorted(gone.items()):
        culprit = next((one for one, other in sorted(new.items()) if _conflict(stanza, other)), None)
        needed = next((one for one in sorted(gone) if one != name and _needs(stanza, gone[one])), None)
        if culprit:
            found.append(f"{culprit}{_for(culprit, after, requested)} removed {name}, with which it conflicts")
        elif needed:
            found.append(f"{name} was removed with {needed}, which it needs")
        else:
            found.append(f"{name} was removed")
    return found


def _conflict(one: Stanza, other: Stanza) -> bool:
    """Whether one of the two names the other, by any of its names, as what it cannot be installed with."""
    return _excludes(one, other) or _excludes(other, one)


def _excludes(one: Stanza, other: Stanza) -> bool:
    names = {name for field in ("Conflicts", "Breaks") for clause in related_names(one, field) for name in clause}
    return not names.isdisjoint(provided_names(other))


def _needs(one: Stanza, other: Stanza) -> bool:
    return not _dependencies(one).isdisjoint(provided_names(other))


def _dependencies(stanza: Stanza) -> set[str]:
    return {
        name
        for field in ("Pre-Depends", "Depends", "Recommends")
        for clause in related_names(stanza, field)
        for name in clause
    }


def _for(culprit: str, packages: Installed, requested: Iterable[str]) -> str:
    """The requested package that the culprit was installed for, in parentheses; nothing if it was requested itself."""
    wanted = [re.split(r"[=/:]", one)[0] for one in requested]
    if culprit in wanted:
        return ""
    providers: dict[str, list[str]] = {}
    for name, stanza in packages.items():
        for provided in provided_names(stanza):
            providers.setdefault(provided, []).append(name)
    for first in wanted:
        reached, todo = {first}, [first]
        while todo:
            current = packages.get(todo.pop())
            near = {name for one in (_dependencies(current) if current else ()) for name in providers.get(one, ())}
            todo += near - reached
            reached |= near
        if culprit in reached:
            return f" (needed by {first})"
    return ""
