"""Mirrors given on the command line or in the environment, for one archive or several."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from osbuild_compose.errors import InputError

_NAMED = re.compile(r"([a-z][a-z0-9-]*)=(.*)")


@dataclass(frozen=True)
class Mirrors:
    """Addresses of mirrors, None if not given.

    by_archive: those of an archive that was named, in place of `main` and `security`.
    """

    main: str | None = None
    security: str | None = None
    by_archive: Mapping[str, "Mirrors"] = field(default_factory=dict)

    def for_archive(self, archive: str | None, *, is_default: bool) -> "Mirrors":
        """The mirrors of one archive. is_default: whether mirrors that name no archive are its."""
        if archive is not None and archive in self.by_archive:
            return self.by_archive[archive]
        return Mirrors(self.main, self.security) if is_default else Mirrors()

    def of_named_archives(self) -> "Mirrors":
        """The mirrors that were given with the name of their archive."""
        return Mirrors(by_archive=self.by_archive)


def asked_for(main: str | None, security: str | None, environment: Mapping[str, str]) -> Mirrors:
    """The mirrors of the command line, or else of COMPOSE_MIRROR and COMPOSE_SECURITY_MIRROR.

    Each is "URL", "ARCHIVE=URL", or several with spaces in between. Raises InputError for what is no http address.
    """
    of_main = _addresses("--mirror", "COMPOSE_MIRROR", main, environment)
    of_security = _addresses("--security-mirror", "COMPOSE_SECURITY_MIRROR", security, environment)
    archives = [name for name in {**of_main, **of_security} if name is not None]
    by_archive = {name: Mirrors(of_main.get(name), of_security.get(name)) for name in archives}
    return Mirrors(of_main.get(None), of_security.get(None), by_archive)


def _addresses(option: str, variable: str, value: str | None, environment: Mapping[str, str]) -> dict[str | None, str]:
    """The addresses by the archives they are for; None is the archive of mirrors that name none."""
    found: dict[str | None, str] = {}
    for word in (value or environment.get(variable, "")).split():
        match = _NAMED.fullmatch(word)
        archive, url = (match[1], match[2]) if match else (None, word)
        if not url.startswith(("http://", "https://")):
            source = option if value else variable
            raise InputError(f"{source}: {url} is not an address that begins with http:// or https://")
        found[archive] = url.rstrip("/")
    return found
