"""Locale, time zone, kernel parameters and certificates."""

from collections.abc import Iterator
from importlib import resources
from typing import Any

from osbuild_compose.blueprint.convert import certificates
from osbuild_compose.blueprint.local_files import LocalFiles
from osbuild_compose.blueprint.select import ANY, texts, values
from osbuild_compose.document.suggest import did_you_mean
from osbuild_compose.problem import InvalidValueError, Problem, within

TZDATA_VARIANTS = ("posix/", "right/")  # directories of Debian's tzdata, each with every time zone


def problems(data: Any, local_files: LocalFiles) -> Iterator[Problem]:
    """All problems of `locale`, `timezone`, `sysctl` and `cacerts`. Reads the files of certificates."""
    if isinstance(data, dict) and "languages" in data and "locale" not in data:
        brief = "`languages` are those in addition to `locale`, which is missing"
        yield Problem(("languages",), brief, "add: locale: en_US.UTF-8")
    for trail, name in texts(data, "timezone"):
        yield from within(trail, timezone_problems(name))
    for trail, parameters in values(data, "sysctl"):
        for name, value in parameters.items() if isinstance(parameters, dict) else ():
            if value in ("true", "false"):  # no parameter takes these words; the kernel would refuse them at boot
                yield Problem((*trail, name), f"`{name}`: {value} means nothing to the kernel", "write 1 or 0")
    for trail, item in texts(data, "cacerts", ANY):
        try:
            certificates(item, local_files)
        except InvalidValueError as error:
            hint = "a certificate is PEM text, or a PEM file relative to the blueprint's directory"
            yield Problem(trail, f"`cacerts`: {error}", hint)


def timezone_problems(zone: str) -> Iterator[Problem]:
    """What is wrong with the name of a time zone.

    The image sets its zone from its own list; the Python package tzdata lets us report a mistake minutes earlier.
    """
    known = resources.files("tzdata").joinpath("zones").read_text("ascii").split()
    name = zone
    for variant in TZDATA_VARIANTS:
        name = name.removeprefix(variant)
    if name not in known:
        hint = did_you_mean(name, known, otherwise="`timedatectl list-timezones` lists them")
        yield Problem((), f'`timezone`: there is no time zone "{zone}"', hint)
