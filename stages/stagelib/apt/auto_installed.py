"""Mark packages that were installed only as dependencies, for `apt autoremove` on the running system."""

import re
from collections.abc import Collection, Sequence

from stagelib.apt.package import Package, provided_names

EXTENDED_STATES = "/var/lib/apt/extended_states"


def extended_states(
    packages: Collection[Package], essential: Collection[str], requested: Sequence[str], architecture: str
) -> str:
    """The text of apt's extended_states for `packages`, all of an installation into an empty tree.

    essential: the names of the Essential packages and what these need, none of which apt installs as a dependency.
    `requested` is in apt's notation; a virtual package means its providers.
    """
    names = {re.split(r"[=/:]", one)[0] for one in requested}
    real = {package.name for package in packages}
    chosen = names & real
    for package in packages:
        if (names - real).intersection(provided_names(package.stanza)):
            chosen.add(package.name)
    return "".join(
        f"Package: {name}\nArchitecture: {architecture}\nAuto-Installed: 1\n\n"
        for name in sorted(real - chosen - set(essential))
    )
