"""The options of org.osbuild-compose.apt as typed values."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Repository:
    """A signed apt repository; keys are ASCII-armoured OpenPGP public keys, one of which must have signed it."""

    url: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    keys: tuple[str, ...]
    check_valid_until: bool


@dataclass(frozen=True)
class Options:
    """The stage's options; see its meta.json for the meaning of each."""

    architecture: str
    repositories: tuple[Repository, ...]
    packages: tuple[str, ...]
    exclude: tuple[str, ...]
    recommends: bool


def from_json(options: dict[str, Any]) -> Options:
    """The options as the runner has validated them, with the defaults filled in."""
    repositories = tuple(
        Repository(
            url=one["url"].rstrip("/") + "/",
            suites=tuple(one["suites"]),
            components=tuple(one["components"]),
            keys=tuple(one["keys"]),
            check_valid_until=one.get("check_valid_until", True),
        )
        for one in options["repositories"]
    )
    return Options(
        architecture=options["architecture"],
        repositories=repositories,
        packages=tuple(options["packages"]),
        exclude=tuple(options.get("exclude", ())),
        recommends=options.get("recommends", False),
    )
