"""RPM repositories in directories of this machine, made by createrepo_c."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from xml.etree import ElementTree

from osbuild_compose.distro.family.local_directory import Directory
from osbuild_compose.distro.repository import LocalFile, NamedRepository
from osbuild_compose.problem import InvalidValueError

_REPOMD = "repodata/repomd.xml"
_REPO = "{http://linux.duke.edu/metadata/repo}"
_COMMON = "{http://linux.duke.edu/metadata/common}"


def expanded(repository: NamedRepository, variables: Mapping[str, str]) -> NamedRepository:
    """The repository with the variables in its directory replaced."""
    path = repository.directory or ""
    for name, value in variables.items():
        path = path.replace(f"${name}", value).replace(f"${{{name}}}", value)
    return replace(repository, directory=path)


def files(repository: NamedRepository, architecture: str) -> tuple[LocalFile, ...]:
    """The metadata of the repository, and its packages that machines of the architecture can run.

    Raises InvalidValueError for a directory that is no such repository.
    """
    directory = Directory(repository.directory or "")
    if not directory.has(_REPOMD):
        raise InvalidValueError(
            f"there is no {_REPOMD} in {directory.root}", f"make it with: createrepo_c {directory.root}"
        )
    found = [directory.file(name) for name in (_REPOMD, f"{_REPOMD}.asc") if directory.has(name)]
    primary = ""
    for data in _parsed(directory, _REPOMD).iterfind(f"{_REPO}data"):
        location = data.find(f"{_REPO}location")
        path = location.get("href", "") if location is not None else ""
        if directory.has(path):
            found.append(directory.file(path))
            primary = path if data.get("type") == "primary" else primary
    if not primary:
        raise InvalidValueError(f"{directory.root / _REPOMD} names no list of packages", "make it anew: createrepo_c")
    return directory.limited([*found, *_packages(directory, primary, architecture)])


def _packages(directory: Directory, primary: str, architecture: str) -> Iterator[LocalFile]:
    foreign = {"x86_64": "aarch64", "aarch64": "x86_64"}.get(architecture)
    for package in _parsed(directory, primary).iterfind(f"{_COMMON}package"):
        location, checksum = package.find(f"{_COMMON}location"), package.find(f"{_COMMON}checksum")
        path = location.get("href", "") if location is not None else ""
        if package.findtext(f"{_COMMON}arch") in ("src", "nosrc", foreign) or not directory.has(path):
            continue
        known = checksum is not None and checksum.get("type") == "sha256"
        digest = (checksum.text or "").strip() if known and checksum is not None else ""
        if digest and not re.fullmatch("[0-9a-f]{64}", digest):
            raise InvalidValueError(f"{directory.root / primary} has no SHA256 of {path}", "make it anew: createrepo_c")
        yield directory.file(path, digest)


def _parsed(directory: Directory, path: str) -> ElementTree.Element:
    try:
        return ElementTree.fromstring(directory.text(path))  # noqa: S314 - a file of this machine's user
    except ElementTree.ParseError as error:
        raise InvalidValueError(f"cannot read {directory.root / path}: {error}", "make it anew: createrepo_c") from None
