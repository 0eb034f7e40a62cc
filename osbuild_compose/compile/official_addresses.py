"""Rewrites a pipeline that reads packages from mirrors to the distribution's official addresses."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from osbuild_compose.compile.request import BuildRequest
from osbuild_compose.compile.template.filters import plain
from osbuild_compose.distro.repository import Repository


@dataclass(frozen=True)
class _Exchange:
    """The options of a stage for one repository, at its mirror and at its official address.

    `fields` are those that differ, with both values: None for a default, which the options leave out. `others` are the
    fields that both share.
    """

    fields: Mapping[str, tuple[Any, Any]]
    others: Mapping[str, Any]

    @property
    def addresses(self) -> list[str]:
        """The mirror's addresses."""
        return [read for read, _ in self.fields.values() if isinstance(read, str)]

    def matches(self, options: Mapping[str, Any]) -> bool:
        """Whether these are a stage's options for reading from the mirror."""
        return (
            any(isinstance(value, str) and "://" in value for value in options.values())
            and all(options.get(name) == read for name, (read, _) in self.fields.items())
            and all(options[name] == value for name, value in self.others.items() if name in options)
        )

    def applied(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options for reading from the official address."""
        kept = {name: value for name, value in options.items() if name not in self.fields}
        return {**kept, **{name: value for name, (_, value) in self.fields.items() if value is not None}}


class _UnclearError(ValueError):
    """The options match more than one repository."""


def rewritten(pipeline: Mapping[str, Any], requests: Iterable[BuildRequest]) -> Any:
    """The pipeline with the official addresses in the options of its stages, in place of the mirrors.

    `requests` are those that the pipeline and its build root were made from. None if the addresses cannot be replaced
    reliably: with --repo, with a repository of the blueprint on the same mirror, or if a template writes a mirror's
    address anywhere else.
    """
    exchanges: list[_Exchange] = []
    for request in requests:
        found = list(_exchanges(request))
        own = {value for item in request.blueprint.repositories.own for value in vars(item).values()}
        if request.instead or any(address in own for exchange in found for address in exchange.addresses):
            return None
        exchanges += found
    try:
        made = _rewritten(pipeline, exchanges)
    except _UnclearError:
        return None
    text = json.dumps(made)
    left = any(json.dumps(address)[1:-1] in text for exchange in exchanges for address in exchange.addresses)
    return None if left else made


def _exchanges(request: BuildRequest) -> Iterator[_Exchange]:
    for read, official in zip(request.mirrors, request.release.repositories, strict=True):
        if read != official:
            at_mirror, officially = _options(read), _options(official)
            names = {field.name for field in fields(read)}
            changed = {name for name in names if at_mirror.get(name) != officially.get(name)}
            yield _Exchange(
                {name: (at_mirror.get(name), officially.get(name)) for name in changed},
                {name: value for name, value in at_mirror.items() if name not in changed},
            )


def _options(repository: Repository) -> dict[str, Any]:
    """The repository's fields as a stage's options have them, without those at their defaults."""
    found = {field: getattr(repository, field.name) for field in fields(repository)}
    return {field.name: plain(value) for field, value in found.items() if value != field.default}


def _rewritten(value: Any, exchanges: list[_Exchange]) -> Any:
    if isinstance(value, list):
        return [_rewritten(item, exchanges) for item in value]
    if not isinstance(value, dict):
        return value
    found = [exchange.applied(value) for exchange in exchanges if exchange.matches(value)]
    if any(other != found[0] for other in found[1:]):
        raise _UnclearError
    return found[0] if found else {key: _rewritten(item, exchanges) for key, item in value.items()}
