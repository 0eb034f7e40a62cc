"""Which mirror a release's packages come from while building."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from osbuild_compose.distro import host_apt
from osbuild_compose.distro.host_apt import HostApt
from osbuild_compose.distro.model import Release
from osbuild_compose.distro.repository import DebRepository, Repository, Role, RpmRepository
from osbuild_compose.errors import InputError


@dataclass(frozen=True)
class Mirrors:
    """Mirrors that the user asked for; None where nothing was said."""

    main: str | None = None
    security: str | None = None


def asked_for(main: str | None, security: str | None, environment: Mapping[str, str]) -> Mirrors:
    """The mirrors of the command line, or else of COMPOSE_MIRROR and COMPOSE_SECURITY_MIRROR.

    Raises InputError for what is no http address.
    """
    chosen = []
    for option, name, value in (
        ("--mirror", "COMPOSE_MIRROR", main),
        ("--security-mirror", "COMPOSE_SECURITY_MIRROR", security),
    ):
        url = value or environment.get(name) or None
        if url is not None and not url.startswith(("http://", "https://")):
            source = option if value else name
            raise InputError(f"{source}: {url} is not an address that begins with http:// or https://")
        chosen.append(url.rstrip("/") if url else None)
    return Mirrors(*chosen)


def resolve(
    release: Release, asked: Mirrors, read_host: Callable[[list[str]], HostApt] = host_apt.read
) -> tuple[Repository, ...]:
    """The release's repositories with the address each is to be read from while building.

    In this order: what the user asked for; in Debian's case the mirror of this machine's own apt; the official address.
    Raises InputError when a repository has no place on mirrors.
    """
    return tuple(_rpm(item, asked) for item in release.repositories if isinstance(item, RpmRepository)) or _deb(
        [item for item in release.repositories if isinstance(item, DebRepository)], asked, read_host
    )


def _rpm(item: RpmRepository, asked: Mirrors) -> RpmRepository:
    if asked.main is None:
        return item
    if item.path is None:
        raise InputError(f"--mirror: where {item.id} is on a mirror is not known", hint="name it with --repo NAME=URL")
    return replace(item, metalink=None, mirrorlist=None, baseurl=f"{asked.main}/{item.path}")


def _deb(
    repositories: Sequence[DebRepository], asked: Mirrors, read_host: Callable[[list[str]], HostApt]
) -> tuple[DebRepository, ...]:
    """Where this machine's apt does not mind an index past its date (its clock or its mirror may be odd), neither do
    we, except at the official address.
    """
    main_suites = [suite for item in repositories if item.role is Role.MAIN for suite in item.suites]
    host = read_host(sorted({*_DEBIAN, *(suite.partition("-")[0] for suite in main_suites)}))
    chosen = {Role.MAIN: asked.main or host.main, Role.SECURITY: asked.security or host.security}
    return tuple(
        replace(item, url=url, check_valid_until=host.check_valid_until) if (url := chosen.get(item.role)) else item
        for item in repositories
    )


# A mirror serves all releases: this machine may be of another one than the image.
_DEBIAN = ("bullseye", "bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable")
