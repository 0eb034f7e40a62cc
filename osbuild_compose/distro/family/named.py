"""Families whose repositories have an id and an address: RPM, and those that a distro.yaml describes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from osbuild_compose.distro.family.protocol import Archive, ReadHost, Tools, package_name
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
