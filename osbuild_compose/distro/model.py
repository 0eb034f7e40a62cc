"""What is known of a distribution."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """Which mirror setting a repository follows."""

    MAIN = "main"
    SECURITY = "security"
    OTHER = "other"


@dataclass(frozen=True)
class Repository:
    """One of a release's repositories. keys are armoured texts.

    check_valid_until False accepts an index past its date.
    """

    role: Role
    url: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    keys: tuple[str, ...]
    check_valid_until: bool = True


@dataclass(frozen=True)
class Architecture:
    """A processor architecture as the distribution knows it."""

    name: str
    kernel: str
    bootloader: tuple[str, ...] = ()


@dataclass(frozen=True)
class Release:
    """A distribution's release. `template` is the pipeline template's name for the template engine."""

    name: str
    title: str
    template: str
    architectures: Mapping[str, Architecture]
    repositories: tuple[Repository, ...]
    packages: tuple[str, ...]
    services: Mapping[str, str] = field(default_factory=dict)
    enabled_services: tuple[str, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
