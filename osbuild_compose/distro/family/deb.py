"""The family of Debian packages: repositories with suites, and mirrors that serve all releases of an archive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from osbuild_compose.distro.family import apt_settings, deb_directory, deb_packages
from osbuild_compose.distro.family.host_apt import HostApt
from osbuild_compose.distro.family.protocol import Archive, ReadHost, Tools, other_package, package_name
from osbuild_compose.distro.mirrors import Mirrors
from osbuild_compose.distro.repository import DebRepository, Repository, Role


@dataclass(frozen=True)
class DebFamily:
    """Debian and what is made from it; protocol.py describes the members."""

    name: str = "Debian"
    stage: str = "org.osbuild-compose.apt"
    form: type[Repository] = DebRepository
    form_keys: str = "url and suites"
    before_version: str = "="
    is_signed: bool = True
    has_security_mirrors: bool = True
    has_mirrors_of_all_releases: bool = True

    def packages_with(self, tools: Tools) -> tuple[str, ...]:
        """The packages with these programs."""
        return tuple(package_name(package, "deb") for package in tools.values())

    def name_of(self, wanted: str) -> str:
        """The name of a package in apt's notation."""
        return deb_packages.name_of(wanted)

    def package_problem(self, wanted: str, architecture: str) -> tuple[str, str] | None:
        """What apt does not take, and what to do about it."""
        return deb_packages.problem(wanted, architecture)

    def file_problem(self, name: str) -> tuple[str, str] | None:
        """Whether the file is another family's package."""
        return other_package(name, ".deb", ".rpm")

    def read_directory(
        self,
        repository: Repository,
        architecture: str,
        variables: Mapping[str, Any],  # noqa: ARG002 - an address has none
    ) -> Repository:
        """The repository with its files."""
        if not isinstance(repository, DebRepository):
            return repository
        return replace(repository, files=deb_directory.files(repository, architecture))

    def together(self, repositories: Sequence[Repository]) -> tuple[Repository, ...]:
        """The repositories with the same options for those of one archive."""
        return apt_settings.unified(_of_apt(repositories))

    def pins(self, repositories: Sequence[Repository]) -> tuple[apt_settings.Pin, ...]:
        """The pins of those with a priority."""
        return apt_settings.pins(_of_apt(repositories))

    def unclear(self, repositories: Sequence[Repository]) -> list[Repository]:
        """Those with a priority for which there is no pin."""
        return [*apt_settings.unclear(_of_apt(repositories))]

    def mirrored(
        self, repositories: Sequence[Repository], archives: Mapping[str, Archive], asked: Mirrors, read_host: ReadHost
    ) -> tuple[Repository, ...]:
        """The repositories with the address that each is read from while building.

        In this order: the mirror of its archive given by the user; the one that this machine's own apt uses; the
        official address. A repository without an archive has no mirror: those of others have other packages.
        """
        hosts: dict[str, HostApt] = {}
        found: list[Repository] = []
        for item in repositories:
            archive = archives.get(item.archive or "")
            if not isinstance(item, DebRepository) or archive is None or item.role is Role.OTHER:
                found.append(item)
                continue
            name = item.archive or ""
            if name not in hosts:
                hosts[name] = read_host(self._suites(name, repositories, archive), archive.keyring)
            found.append(_read_from(item, asked.for_archive(name, is_default=archive.is_default), hosts[name]))
        return tuple(found)

    @staticmethod
    def _suites(name: str, repositories: Sequence[Repository], archive: Archive) -> list[str]:
        """The suites of the archive. A mirror serves all: this machine may be of another release than the image."""
        own = (item for item in repositories if isinstance(item, DebRepository) and item.archive == name)
        suites = {suite.partition("-")[0] for item in own if item.role is Role.MAIN for suite in item.suites}
        return sorted({*archive.suites, *suites})


def _of_apt(repositories: Sequence[Repository]) -> list[DebRepository]:
    return [item for item in repositories if isinstance(item, DebRepository)]


def _read_from(item: DebRepository, asked: Mirrors, host: HostApt) -> DebRepository:
    """The repository at its mirror, if there is one.

    If this machine's apt accepts an expired index (its clock or mirror may be wrong), so do builds, except from the
    official address.
    """
    is_main = item.role is Role.MAIN
    url = (asked.main or host.main) if is_main else (asked.security or host.security)
    return replace(item, url=url, check_valid_until=host.check_valid_until) if url else item
