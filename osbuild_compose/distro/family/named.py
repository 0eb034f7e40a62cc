"""Families whose repositories have an id and an address: RPM, and those that a distro.yaml describes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from osbuild_compose.distro.family import rpm_directory, rpm_packages
from osbuild_compose.distro.family.apt_settings import Pin
from osbuild_compose.distro.family.protocol import Archive, ReadHost, Tools, other_package, package_name
from osbuild_compose.distro.mirrors import Mirrors
from osbuild_compose.distro.repository import NamedRepository, Repository
from osbuild_compose.errors import InputError


@dataclass(frozen=True)
class NamedFamily:
    """A family that a distro.yaml describes; protocol.py describes the members.

    packages: the packages of programs that have other names than Debian's.
    """

    name: str
    stage: str
    packages: Mapping[str, str] = field(default_factory=dict)
    is_signed: bool = True
    form: type[Repository] = NamedRepository
    form_keys: str = "id and baseurl"
    before_version: str = "-"
    has_security_mirrors: bool = False
    has_mirrors_of_all_releases: bool = False

    def packages_with(self, tools: Tools) -> tuple[str, ...]:
        """The packages with these programs: those of the distro.yaml, or else of the stage's meta.json."""
        found = []
        for programs, package in tools.items():
            own = (self.packages[name] for name in programs.split("|") if name in self.packages)
            found.append(next(own, package_name(package, self.name)))
        return tuple(found)

    def name_of(self, wanted: str) -> str:
        """The text itself: the notation is the package manager's."""
        return wanted

    def package_problem(self, wanted: str, architecture: str) -> tuple[str, str] | None:  # noqa: ARG002
        """Nothing is known of the notation."""
        return None

    def file_problem(self, name: str) -> tuple[str, str] | None:
        """There is no stage for package files."""
        return f"{name} is a file", "put it in a repository"

    def read_directory(self, repository: Repository, architecture: str, variables: Mapping[str, Any]) -> Repository:
        """The repository with its files, where dnf's variables in its address have their values."""
        if not isinstance(repository, NamedRepository):
            return repository
        values = {"releasever": str(variables.get("releasever", "")), "basearch": architecture}
        place = rpm_directory.expanded(repository, values)
        return replace(place, files=rpm_directory.files(place, architecture))

    def together(self, repositories: Sequence[Repository]) -> tuple[Repository, ...]:
        """The repositories themselves."""
        return tuple(repositories)

    def pins(self, repositories: Sequence[Repository]) -> tuple[Pin, ...]:  # noqa: ARG002
        """None: the list of repositories has their priorities."""
        return ()

    def unclear(self, repositories: Sequence[Repository]) -> list[Repository]:  # noqa: ARG002
        """None."""
        return []

    def mirrored(
        self,
        repositories: Sequence[Repository],
        archives: Mapping[str, Archive],
        asked: Mirrors,
        read_host: ReadHost,  # noqa: ARG002 - this machine's own settings are apt's alone
    ) -> tuple[Repository, ...]:
        """The repositories with the address that each is read from: below the user's mirror, if any.

        Raises InputError when a repository's place on the mirror is not known.
        """
        return tuple(_on_mirror(item, archives, asked) for item in repositories)


def _on_mirror(item: Repository, archives: Mapping[str, Archive], asked: Mirrors) -> Repository:
    is_default = item.archive is None or archives.get(item.archive, Archive()).is_default
    mirror = asked.for_archive(item.archive, is_default=is_default).main
    if mirror is None or not isinstance(item, NamedRepository):
        return item
    if item.path is None:
        raise InputError(f"--mirror: where {item.id} is on a mirror is not known", hint="name it with --repo NAME=URL")
    return replace(item, metalink=None, mirrorlist=None, baseurl=f"{mirror}/{item.path}")


@dataclass(frozen=True)
class RpmFamily(NamedFamily):
    """Fedora, Enterprise Linux and what is made from them."""

    name: str = "RPM"
    stage: str = "org.osbuild.dnf"

    def packages_with(self, tools: Tools) -> tuple[str, ...]:
        """The packages with these programs."""
        return tuple(package_name(package, "rpm") for package in tools.values())

    def name_of(self, wanted: str) -> str:
        """The name of a package in dnf's notation."""
        return rpm_packages.name_of(wanted)

    def package_problem(self, wanted: str, architecture: str) -> tuple[str, str] | None:
        """What dnf does not take, and what to do about it."""
        return rpm_packages.problem(wanted, architecture)

    def file_problem(self, name: str) -> tuple[str, str] | None:
        """Whether the file is another family's package."""
        return other_package(name, ".rpm", ".deb")
