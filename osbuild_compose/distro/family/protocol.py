"""The protocol of package families: everything in which they differ."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from osbuild_compose.distro.family.apt_settings import Pin
from osbuild_compose.distro.family.host_apt import HostApt
from osbuild_compose.distro.mirrors import Mirrors
from osbuild_compose.distro.repository import Repository


@dataclass(frozen=True)
class Archive:
    """An archive with mirrors, as `archives` of a distro.yaml describes it.

    is_default: whether `--mirror` and `--security-mirror` without an archive's name mean this one. suites and keyring
    identify this machine's own apt sources of the archive: the names of its suites, and a part of the name of the
    file with its keys.
    """

    is_default: bool = False
    suites: tuple[str, ...] = ()
    keyring: str = ""


ReadHost = Callable[[Sequence[str], str], HostApt]
"""host_apt.read: what this machine's apt uses, by the suites and the keyring of an archive."""


Tools = Mapping[str, str | Mapping[str, str]]
"""The `tools` of a stage's meta.json: programs, as alternatives with "|" in between, with the package that each is in.

The package is a name, or its names by package families: {"qemu-img": {"deb": "qemu-utils", "rpm": "qemu-img"}}.
"""


def package_name(package: str | Mapping[str, str], family: str) -> str:
    """The name of a package in a family, or any name of it if that family has none."""
    return package if isinstance(package, str) else package.get(family) or next(iter(package.values()))


def other_package(name: str, own: str, other: str) -> tuple[str, str] | None:
    """The problem of a package file, by its path or address, that ends as another family's packages do."""
    if re.split(r"[?#]", name, maxsplit=1)[0].endswith(other):
        return f"{name} is a package of another family", f"its packages end with {own}"
    return None


class Family(Protocol):
    """A package family. A distro.yaml says which one it is, and describes one that is not built in."""

    @property
    def name(self) -> str:
        """Its name for people."""

    @property
    def stage(self) -> str:
        """The stage that installs its packages."""

    @property
    def form(self) -> type[Repository]:
        """The form that its repositories have."""

    @property
    def form_keys(self) -> str:
        """The keys that a repository of that form has, for messages."""

    @property
    def before_version(self) -> str:
        """What is between a package's name and the version of it that is wanted."""

    @property
    def is_signed(self) -> bool:
        """Whether its repositories are signed with OpenPGP keys."""

    @property
    def has_security_mirrors(self) -> bool:
        """Whether security updates have mirrors of their own."""

    @property
    def has_mirrors_of_all_releases(self) -> bool:
        """Whether a mirror of one release serves the others as well."""

    def packages_with(self, tools: Tools) -> tuple[str, ...]:
        """The packages with these programs."""

    def name_of(self, wanted: str) -> str:
        """The name of a package that a blueprint names in the notation of the package manager."""

    def package_problem(self, wanted: str, architecture: str) -> tuple[str, str] | None:
        """What is wrong with that notation on an architecture, by the family's name for it, and a hint; or None."""

    def file_problem(self, name: str) -> tuple[str, str] | None:
        """Why a package file of that path or address is not of this family, and a hint; or None."""

    def read_directory(self, repository: Repository, architecture: str, variables: Mapping[str, Any]) -> Repository:
        """The repository with the files of its directory on this machine; variables are the release's.

        Raises InvalidValueError for a directory that is no repository.
        """

    def together(self, repositories: Sequence[Repository]) -> tuple[Repository, ...]:
        """The repositories with options that the package manager accepts when all are used at once."""

    def pins(self, repositories: Sequence[Repository]) -> tuple[Pin, ...]:
        """Pins of the repositories' priorities, where the package manager has these beside its list of repositories."""

    def unclear(self, repositories: Sequence[Repository]) -> list[Repository]:
        """The repositories with a priority that cannot be told from the others."""

    def mirrored(
        self, repositories: Sequence[Repository], archives: Mapping[str, Archive], asked: Mirrors, read_host: ReadHost
    ) -> tuple[Repository, ...]:
        """The repositories with the address that each is read from while building.

        Raises InputError if the place of a repository on the user's mirror is not known.
        """
