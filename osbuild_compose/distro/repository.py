"""Package repositories in their two forms, wherever they are named: distro.yaml, a blueprint or the command line."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from urllib.parse import unquote

ARMOUR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
ANY_KEY = "-----BEGIN "  # as texts of keys begin, of OpenPGP and others, which names of files do not contain


class Role(StrEnum):
    """Which mirror option a Debian repository follows."""

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
class LocalFile:
    """A file of a repository in a directory of this machine: its path there, its URL, its sha256 in hexadecimal."""

    path: str
    url: str
    sha256: str


@dataclass(frozen=True)
class DebRepository:
    """A repository with suites and components, as apt knows them.

    suites that end with / are directories of a flat repository, which has no components. keys are armoured texts; empty
    in a blueprint means the distribution's own. check_valid_until False accepts an index past its date,
    check_signatures False one that nobody signed. priority is apt's; None stands for its default. archive is the one of
    the distribution's `archives` that the repository is part of: its mirrors are the only ones that the repository is
    read from. directory is the absolute path of one on this machine, and files are those in it, once they are read.
    """

    url: str
    suites: tuple[str, ...]
    components: tuple[str, ...] = ("main",)
    keys: tuple[str, ...] = ()
    check_valid_until: bool = True
    role: Role = Role.OTHER
    archive: str | None = None
    key_addresses: tuple[KeyAddress, ...] = ()  # of keys that are not fetched yet
    use: Use = Use.BOTH
    check_signatures: bool = True
    priority: int | None = None
    directory: str | None = None
    files: tuple[LocalFile, ...] = ()

    @property
    def section(self) -> str | None:
        """The name of its section in the image's list of repositories; None if these have no names."""
        return None

    @property
    def place(self) -> tuple[object, ...]:
        """What it is known by, wherever its keys and options are from."""
        return self.url.rstrip("/"), self.suites, self.components, self.priority

    @property
    def checksums(self) -> dict[str, str]:
        """The digests of the files, as stages name them, by their paths."""
        return {file.path: f"sha256:{file.sha256}" for file in self.files}

    def signed_by(self, keys: tuple[str, ...]) -> "DebRepository":
        """The repository with these keys unless it has its own or its signatures are not checked."""
        signers = self.keys or keys if self.check_signatures else ()
        return replace(self, keys=signers, url=self.url.rstrip("/"))


@dataclass(frozen=True)
class NamedRepository:
    """A repository with an id: exactly one of baseurl, mirrorlist and metalink is set. dnf has this form.

    keys are armoured texts; empty means the distribution's own, unless check_signatures is False. checksum is
    "sha256:HEX" of its repomd.xml. priority is dnf's, 1 to 99, the least wins. path leads from a mirror's address to
    the repository; archive is the one of the distribution's `archives` that it is part of, if that has a name.
    directory is the absolute path of one on this machine, and files are those in it, once they are read.
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
    archive: str | None = None
    key_addresses: tuple[KeyAddress, ...] = ()  # of keys that are not fetched yet
    use: Use = Use.BOTH
    directory: str | None = None
    files: tuple[LocalFile, ...] = ()

    @property
    def section(self) -> str | None:
        """The name of its section in the image's list of repositories; None if these have no names."""
        return self.id

    @property
    def place(self) -> tuple[object, ...]:
        """What it is known by, wherever its keys and options are from."""
        return (self.id,)

    @property
    def checksums(self) -> dict[str, str]:
        """The digests of the files, as stages name them, by their paths."""
        return {file.path: f"sha256:{file.sha256}" for file in self.files}

    def signed_by(self, keys: tuple[str, ...]) -> "NamedRepository":
        """The repository with these keys unless it has its own or its signatures are not checked."""
        return replace(self, keys=self.keys or keys if self.check_signatures else ())


Repository = DebRepository | NamedRepository


_LOCAL = re.compile(r"(?:file|copy):(?P<path>.*)", re.DOTALL)


def is_local(url: str) -> bool:
    """Whether the address is that of a directory of this machine."""
    return _LOCAL.fullmatch(url) is not None


def local_path(url: str) -> str:
    """The path in such an address, which may be relative. Raises ValueError for an address of another machine."""
    match = _LOCAL.fullmatch(url)
    path = match["path"] if match else ""
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        if host not in ("", "localhost"):
            raise ValueError(f"{url} names the machine {host}; a directory of this one begins with file:///")
        path = f"{slash}{rest}"
    return unquote(path) or "."


def is_flat(suites: Sequence[Any]) -> bool:
    """Whether these are directories of a flat repository instead of suites."""
    return any(isinstance(suite, str) and suite.endswith("/") for suite in suites)


def from_fields(fields: Mapping[str, Any]) -> Repository:
    """The repository with these fields, in the form that they are of. Lists count as tuples."""
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
    if "id" in values:
        return NamedRepository(**values)
    values["role"] = Role(values.get("role", Role.OTHER))
    return DebRepository(**values)
