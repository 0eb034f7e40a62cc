"""Locale, time zone, kernel parameters and certificates."""

from collections.abc import Iterator
from typing import Any

from osbuild_compose.blueprint.convert import certificates
from osbuild_compose.blueprint.local_files import LocalFiles
from osbuild_compose.blueprint.select import ANY, texts, values
from osbuild_compose.blueprint.values import timezone
from osbuild_compose.problem import InvalidValueError, Problem, within


def problems(data: Any, local_files: LocalFiles) -> Iterator[Problem]:
    """All problems of these keys. Reads the files of certificates."""
    if isinstance(data, dict) and "languages" in data and "locale" not in data:
        brief = "`languages` are those in addition to `locale`, which is missing"
        yield Problem(("languages",), brief, "add: locale: en_US.UTF-8")
    for trail, name in texts(data, "timezone"):
        yield from within(trail, timezone.problems(name))
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
