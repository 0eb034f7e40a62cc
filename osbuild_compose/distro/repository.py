"""Package repositories of both kinds, wherever they are named: by a distribution, a blueprint or the command line."""

from dataclasses import dataclass
from enum import StrEnum

ARMOUR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"


class Role(StrEnum):
    """Which mirror setting a Debian repository follows."""

    MAIN = "main"
    SECURITY = "security"
    OTHER = "other"


class Use(StrEnum):
    """Where a blueprint's repository is used: to build, by the image's own package manager, or both."""

    BOTH = "both"
    BUILD = "build"
    IMAGE = "image"


@dataclass(frozen=True)
class KeyAddress:
    """A public key to fetch. fingerprint is in upper-case hexadecimal digits without spaces."""

    url: str
    fingerprint: str


@dataclass(frozen=True)
class DebRepository:
    """A repository of the Debian kind. keys are armoured texts; empty in a blueprint means the distribution's own.

    check_valid_until False accepts an index past its date.
    """

    url: str
    suites: tuple[str, ...]
    components: tuple[str, ...] = ("main",)
    keys: tuple[str, ...] = ()
    check_valid_until: bool = True
    role: Role = Role.OTHER
    key_addresses: tuple[KeyAddress, ...] = ()  # of keys that are not fetched yet
    use: Use = Use.BOTH


@dataclass(frozen=True)
class RpmRepository:
    """A repository of the RPM kind: exactly one of baseurl, mirrorlist and metalink is set.

    keys are armoured texts; empty means the distribution's own, unless check_signatures is False. checksum is
    "sha256:HEX" of its repomd.xml. priority is dnf's, 1 to 99, the least wins. path leads from a mirror's address to
    the repository, for `--mirror`.
    """

    id: str
    name: str | None = None
    baseurl: str | None = None
    mirrorlist: str | None = None
    metalink: str | None = None
    keys: tuple[str, ...] = ()
    check_signatures: bool = True
    checksum: str | None = None
    priority: int | None = None
    path: str | None = None
    key_addresses: tuple[KeyAddress, ...] = ()  # of keys that are not fetched yet
    use: Use = Use.BOTH


Repository = DebRepository | RpmRepository
