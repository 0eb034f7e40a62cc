"""Mark packages that were installed only as dependencies, for `apt autoremove` on the running system."""

import re
from collections.abc import Iterable, Sequence

from stagelib import tree_paths
from stagelib.apt.package import Package, provided_names

EXTENDED_STATES = "/var/lib/apt/extended_states"


def mark(tree: str, packages: Iterable[Package], requested: Sequence[str], architecture: str) -> None:
    """Write apt's extended_states: all of `packages` but the requested ones are marked as dependencies."""
    tree_paths.write_file(tree, EXTENDED_STATES, extended_states(packages, requested, architecture))


def extended_states(packages: Iterable[Package], requested: Sequence[str], architecture: str) -> str:
    """The text of extended_states. `requested` is in apt's notation; a virtual package means its providers."""
    names = {re.split(r"[=/]", one)[0] for one in requested}
    others = [package for package in packages if not names.intersection(provided_names(package.stanza))]
    return "".join(
        f"Package: {name}\nArchitecture: {architecture}\nAuto-Installed: 1\n\n"
        for name in sorted(package.name for package in others)
    )
