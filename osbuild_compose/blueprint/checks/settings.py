"""What must hold, beyond the schema, of a blueprint's users and of the keys that become configuration files."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from osbuild_compose.blueprint.convert import certificates, days
from osbuild_compose.blueprint.local_files import Beside
from osbuild_compose.blueprint.select import ANY, Problem, texts, values
from osbuild_compose.blueprint.values import calendar, container_reference, crontab, password, timezone

# Where a text may be taken from a file beside the blueprint.
_TEXT_SOURCES = (
    ("udev_rules", ANY),
    ("units", ANY),
    ("units", ANY, "dropins", ANY),
    ("scripts", ANY),
    ("first_boot", ANY),
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_NETWORK = re.compile(r"[0-9A-Fa-f.:]+(/\d{1,3})?")
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")
_CALENDAR = re.compile(r"[A-Za-z0-9*][A-Za-z0-9*:/.,~ +_-]*")
_SECTION = re.compile(r"^\[[A-Za-z0-9-]+\]\s*$", re.MULTILINE)


def problems(data: Any, beside: Beside) -> Iterator[Problem]:
    """All that is wrong. Reads the files that these keys name."""
    if isinstance(data, dict) and "languages" in data and "locale" not in data:
        yield ("languages",), "`languages` are those besides `locale`, which is not there", "add: locale: en_US.UTF-8"
    yield from _time_zone(data)
    yield from _passwords(data)
    yield from _ids_twice(data)
    yield from _expiry_dates(data)
    yield from _texts_beside(data, beside)
    yield from _archives_beside(data, beside)
    yield from _containers(data)
    yield from _certificates(data, beside)
    yield from _units(data)
    yield from _timers(data)
    yield from _networks(data)
    yield from twice(data, "firewall", "zones", ANY, "name")
    yield from _truth_for_kernel(data)
    yield from _cron_times(data)
    for names in ("udev_rules", "units", "timers", "cron", "first_boot", "containers"):
        yield from twice(data, names, ANY, "name")


def twice(data: Any, *way: object) -> Iterator[Problem]:
    """Texts at the end of the way that stand there a second time."""
    seen: set[str] = set()
    for trail, name in texts(data, *way):
        if name in seen:
            yield trail, f"`{way[0]}` has {name} twice", ""
        seen.add(name)


def _passwords(data: Any) -> Iterator[Problem]:
    for trail, text in texts(data, "users", ANY, "password"):
        if wrong := password.problem(text):
            yield trail, f"`password` {wrong}", "make a hash with: openssl passwd -6"


def _ids_twice(data: Any) -> Iterator[Problem]:
    for way in (("users", "uid"), ("groups", "gid")):
        seen: set[int] = set()
        for trail, number in values(data, way[0], ANY, way[1]):
            if isinstance(number, int) and number in seen:
                yield trail, f"`{way[0]}` has the {way[1]} {number} twice", "give one of them another number"
            seen.add(number)


def _time_zone(data: Any) -> Iterator[Problem]:
    for trail, name in texts(data, "timezone"):
        if _ZONE.fullmatch(name):  # of others the schema says what is wrong
            wrong, hint = timezone.problem(name)
            if wrong:
                yield trail, f"`timezone`: {wrong}", hint


def _expiry_dates(data: Any) -> Iterator[Problem]:
    for trail, text in texts(data, "users", ANY, "expiredate"):
        try:
            days(text)
        except ValueError:
            if _DATE.fullmatch(text):
                yield trail, f"`expiredate`: there is no day {text}", ""


def _texts_beside(data: Any, beside: Beside) -> Iterator[Problem]:
    for way in _TEXT_SOURCES:
        for trail, name in texts(data, *way, "source"):
            try:
                beside.text(name)
            except ValueError as error:
                yield trail, str(error), "the path is relative to the blueprint's directory"


def _archives_beside(data: Any, beside: Beside) -> Iterator[Problem]:
    for trail, name in texts(data, "containers", ANY, "source"):
        try:
            beside.large(name)
        except ValueError as error:
            yield trail, str(error), "the path is relative to the blueprint's directory"


def _containers(data: Any) -> Iterator[Problem]:
    for trail, url in texts(data, "containers", ANY, "url"):
        item = data["containers"][trail[1]]
        if not container_reference.is_address(url):
            if "sha256" not in item:
                yield trail, "an archive at an address has a `sha256`", "sha256sum prints it"
            if "tls_verify" in item:
                yield (*trail[:-1], "tls_verify"), "`tls_verify` is for registries only", ""
            continue
        try:
            address = container_reference.parse(url)
        except ValueError:
            continue  # the schema tells
        if "sha256" in item:
            what = "an image in a registry has its digest in `url`"
            yield (*trail[:-1], "sha256"), what, "write docker://NAME@sha256:DIGEST and remove `sha256`"
        elif not address.sha256:
            insecure = "--tls-verify=false " if item.get("tls_verify") is False else ""
            what = f"{url} may be another image tomorrow: name its digest"
            how = f"write @ and what this prints behind it: skopeo inspect {insecure}--format '{{{{.Digest}}}}' {url}"
            yield trail, what, how


def _certificates(data: Any, beside: Beside) -> Iterator[Problem]:
    for trail, item in texts(data, "cacerts", ANY):
        try:
            certificates(item, beside)
        except ValueError as error:
            hint = "a certificate is PEM text, or a file of it relative to the blueprint's directory"
            yield trail, f"`cacerts`: {error}", hint


def _units(data: Any) -> Iterator[Problem]:
    """systemd starts units without a section, and drop-ins too, as if they were empty."""
    for way in (("units", ANY), ("units", ANY, "dropins", ANY)):
        for trail, content in texts(data, *way, "content"):
            if not _SECTION.search(content):
                yield trail, "`content` has no section of a unit, such as [Service]", ""


def _cron_times(data: Any) -> Iterator[Problem]:
    for trail, text in texts(data, "cron", ANY, "schedule"):
        if wrong := crontab.problem(text):
            yield trail, f"`schedule`: {wrong}", "minute, hour, day of month, month and day of week; see crontab(5)"


def _timers(data: Any) -> Iterator[Problem]:
    for trail, text in texts(data, "timers", ANY, "schedule"):
        if _CALENDAR.fullmatch(text) and (wrong := calendar.problem(text)):
            yield trail, f"`schedule`: {wrong}", "see systemd.time(7); `systemd-analyze calendar` tells what one means"
    units = {name for _, name in texts(data, "units", ANY, "name")}
    for trail, name in texts(data, "timers", ANY, "name"):
        if taken := {f"{name}.service", f"{name}.timer"} & units:
            yield trail, f"`timers`: {min(taken)} is already in `units`", "give one of them another name"


def _truth_for_kernel(data: Any) -> Iterator[Problem]:
    """No parameter takes these words: the kernel refuses them when the machine boots."""
    for trail, parameters in values(data, "sysctl"):
        for name, value in parameters.items() if isinstance(parameters, dict) else ():
            if value in ("true", "false"):
                yield (*trail, name), f"`{name}`: {value} means nothing to the kernel", "write 1 or 0"


def _networks(data: Any) -> Iterator[Problem]:
    for trail, text in texts(data, "firewall", "zones", ANY, "sources", ANY):
        try:
            ipaddress.ip_network(text)
        except ValueError as error:
            if _NETWORK.fullmatch(text):  # of others the schema says what is wrong
                yield trail, f"`sources`: {error}", ""
