"""The options of org.osbuild.dnf as typed values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

LOCATIONS = ("metalink", "mirrorlist", "baseurl")
VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


@dataclass(frozen=True)
class Repository:
    """An RPM repository.

    id: its name in dnf's messages; kind: one of LOCATIONS; files: the checksums of one that consists of the manifest's
    sources, by their paths, which then has no url; url: with $releasever and $basearch replaced; checksum:
    sha256 of its repomd.xml in hexadecimal, or None; key: ASCII-armoured OpenPGP public keys, or None when packages are
    not verified; priority: dnf's (1 to 99, lower wins), or None; ssl: PEM texts by dnf's name of the option.
    """

    id: str
    kind: str
    url: str
    checksum: str | None
    key: str | None
    priority: int | None
    ssl: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Module:
    """A stream of a module: one of several versions of a set of packages in a repository."""

    name: str
    stream: str

    def __str__(self) -> str:
        """dnf's notation."""
        return f"{self.name}:{self.stream}"


@dataclass(frozen=True)
class Options:
    """The stage's options; see its meta.json for the meaning of each."""

    repositories: tuple[Repository, ...]
    packages: tuple[str, ...]
    releasever: str
    basearch: str
    operation: str
    install_weak_deps: bool
    exclude_packages: tuple[str, ...]
    module_platform_id: str
    modules: tuple[Module, ...]
    dbpath: str | None
    archives: tuple[str, ...] = ()  # checksums of sources

    @property
    def is_empty(self) -> bool:
        """Whether only modules are enabled and nothing is installed."""
        return self.operation == "install" and not self.packages

    @property
    def groups(self) -> tuple[str, ...]:
        """The ids or names of the groups among `packages`."""
        return tuple(name.removeprefix("@") for name in self.packages if name.startswith("@"))


def from_json(options: Mapping[str, Any]) -> Options:
    """The options as the runner has validated them, with the defaults filled in."""
    variables = {"releasever": options["releasever"], "basearch": options["basearch"]}
    return Options(
        repositories=tuple(_repository(number, one, variables) for number, one in enumerate(options["repos"])),
        packages=tuple(options["packages"]),
        **variables,
        operation=options.get("operation", "install"),
        install_weak_deps=options.get("install_weak_deps", True),
        exclude_packages=tuple(options.get("exclude_packages", ())),
        module_platform_id=options.get("module_platform_id") or platform(options["releasever"]),
        modules=tuple(Module(**one) for one in options.get("modules", ())),
        dbpath=options.get("dbpath"),
        archives=tuple(options.get("archives", ())),
    )


def _repository(number: int, one: Mapping[str, Any], variables: Mapping[str, str]) -> Repository:
    kind = next((name for name in LOCATIONS if name in one), "baseurl")
    url = VARIABLE.sub(lambda match: variables.get(match[1] or match[2], match[0]), one.get(kind, ""))
    return Repository(
        id=f"repo{number}",
        kind=kind,
        url=url,
        checksum=one["checksum"].removeprefix("sha256:").lower() if "checksum" in one else None,
        key=one.get("gpgkey"),
        priority=one.get("priority"),
        ssl={name: one[name] for name in ("sslcacert", "sslclientcert", "sslclientkey") if name in one},
        files=one.get("files", {}),
    )


def platform(releasever: str) -> str:
    """The module platform of a release: dnf needs one, and cannot detect it in an empty tree.

    Releases below 20 are those of Enterprise Linux ("9", "10-stream"), the others Fedora's.
    """
    number = major(releasever)
    return f"platform:el{number}" if number is not None and number < 20 else f"platform:f{number or releasever}"


def major(releasever: str) -> int | None:
    """The number that a release starts with; None for names such as "rawhide"."""
    match = re.match(r"[0-9]+", releasever)
    return int(match[0]) if match else None
