"""Installed packages: from dpkg's status file, or from rpm's database, read with rpm."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from osbuild_compose.inspecting.tools import OUT, ToolError, Tools
from osbuild_compose.inspecting.tree import TooMuchError, Tree

_STATUS = "/var/lib/dpkg/status"
_STATUS_PARTS = "/var/lib/dpkg/status.d"  # in images without dpkg
_RPM = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
_RPM_FILES = re.compile(r"rpmdb\.sqlite(-wal)?|Packages(\.db)?|Index\.db")
_MAX = 512 * 1024**2  # bytes of rpm's database
_MAX_STATUS = 64 * 1024**2  # bytes of dpkg's status; that of ten thousand packages has 10 MiB
_QUERY = "%{NAME}\\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\\t%{ARCH}\\n"
_FIELDS = ("Package", "Status", "Version", "Architecture")


@dataclass(frozen=True)
class Package:
    """An installed package. version is as the package manager writes it, with epoch and release."""

    name: str
    version: str
    architecture: str


@dataclass(frozen=True)
class Packages:
    """The installed packages by name, and the package manager ("dpkg" or "rpm") whose database has them."""

    manager: str
    installed: tuple[Package, ...]


def packages(tree: Tree, tools: Tools) -> Packages | None:
    """The installed packages; None without a known package manager.

    Raises ToolError if rpm's database cannot be read, and TooMuchError.
    """
    parts = [path for path in (_STATUS, *tree.files(_STATUS_PARTS)) if tree.is_file(path)]
    if parts:
        return Packages("dpkg", _ordered([package for text in _texts(tree, parts) for package in dpkg_status(text)]))
    for directory in _RPM:
        names = [name for name in tree.names(directory) if _RPM_FILES.fullmatch(name)]
        if names:
            return Packages("rpm", _ordered(_rpm(tree, directory, names, tools)))
    return None


def _texts(tree: Tree, paths: list[str]) -> Iterator[str]:
    left = _MAX_STATUS
    for path in paths:
        text = tree.text(path, left) or ""
        left -= len(text)
        if left <= 0:
            raise TooMuchError(f"dpkg's status has more than {_MAX_STATUS} bytes")
        yield text


def _ordered(found: list[Package]) -> tuple[Package, ...]:
    return tuple(sorted(found, key=lambda package: (package.name, package.architecture, package.version)))


def dpkg_status(text: str) -> Iterator[Package]:
    """The installed packages of a dpkg status file. A stanza without a status counts as installed."""
    for stanza in re.split(r"\n{2,}", text):
        fields = {}
        for line in stanza.split("\n"):
            name, colon, value = line.partition(":")
            if colon and name in _FIELDS:
                fields[name] = value.strip()
        if "Package" in fields and fields.get("Status", "install ok installed").endswith(" installed"):
            yield Package(fields["Package"], fields.get("Version", ""), fields.get("Architecture", ""))


def _rpm(tree: Tree, directory: str, names: list[str], tools: Tools) -> list[Package]:
    copy = tools.new_directory()
    for name in names:
        (copy / name).write_bytes(tree.read(f"{directory}/{name}", _MAX) or b"")
    result = tools.run(["rpm", "--dbpath", OUT, "-qa", "--qf", _QUERY], out=copy)
    if result.status != 0:
        raise ToolError(f"rpm cannot read its database: {result.reason}")
    rows = [line.split("\t") for line in result.stdout.decode(errors="replace").splitlines()]
    return [Package(*row) for row in rows if len(row) == 3 and row[0] != "gpg-pubkey"]
