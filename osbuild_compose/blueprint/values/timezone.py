"""Names of time zones.

The image sets its zone from a list of its own; checking against the Python package tzdata reports a mistake minutes
earlier.
"""

from collections.abc import Iterator
from importlib import resources

from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.problem import Problem

VARIANTS = ("posix/", "right/")  # directories of Debian's tzdata, each with all of the zones


def problems(zone: str) -> Iterator[Problem]:
    """What is wrong with the name of a time zone."""
    known = resources.files("tzdata").joinpath("zones").read_text("ascii").split()
    name = zone
    for variant in VARIANTS:
        name = name.removeprefix(variant)
    if name not in known:
        hint = did_you_mean(name, known, otherwise="`timedatectl list-timezones` lists them")
        yield Problem((), f'`timezone`: there is no time zone "{zone}"', hint)
