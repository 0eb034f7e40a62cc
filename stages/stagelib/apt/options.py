"""The options of org.osbuild-compose.apt as typed values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Repository:
    """An apt repository; keys are ASCII-armoured OpenPGP public keys, one of which must have signed it.

    Suites that end with / are directories of a flat repository, which has no components. files are the checksums of one
    that consists of the manifest's sources, by their paths; then there is no url.
    """

    url: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    keys: tuple[str, ...]
    check_valid_until: bool
    check_signatures: bool = True
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Preference:
    """A priority of packages, by the name or pattern of the packages and a pin: see apt_preferences(5)."""

    package: str
    pin: str
    priority: int


@dataclass(frozen=True)
class Answer:
    """The answer to a question of debconf; type None is the one that its package says."""

    package: str
    question: str
    value: str
    type: str | None = None


@dataclass(frozen=True)
class Options:
    """The stage's options; see its meta.json for the meaning of each."""

    architecture: str
    repositories: tuple[Repository, ...]
    packages: tuple[str, ...]
    exclude: tuple[str, ...]
    recommends: bool
    preferences: tuple[Preference, ...] = ()
    archives: tuple[str, ...] = ()  # checksums of sources
    answers: tuple[Answer, ...] = ()


def from_json(options: dict[str, Any]) -> Options:
    """The options as the runner has validated them, with the defaults filled in."""
    repositories = tuple(
        Repository(
            url=one["url"].rstrip("/") + "/" if "url" in one else "",
            suites=tuple(one["suites"]),
            components=tuple(one.get("components", ())),
            keys=tuple(one.get("keys", ())),
            check_valid_until=one.get("check_valid_until", True),
            check_signatures=one.get("check_signatures", True),
            files=one.get("files", {}),
        )
        for one in options["repositories"]
    )
    return Options(
        architecture=options["architecture"],
        repositories=repositories,
        packages=tuple(options["packages"]),
        exclude=tuple(options.get("exclude", ())),
        recommends=options.get("recommends", False),
        preferences=tuple(
            Preference(one.get("package", "*"), one["pin"], one["priority"]) for one in options.get("preferences", ())
        ),
        archives=tuple(options.get("archives", ())),
        answers=tuple(
            Answer(one["package"], one["question"], one["value"], one.get("type")) for one in options.get("answers", ())
        ),
    )
