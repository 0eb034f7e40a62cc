"""Debian repositories in directories of this machine: made by apt-ftparchive, reprepro, aptly or dpkg-scanpackages."""

import os
import re
from collections.abc import Iterator

from osbuild_compose.distro.family.local_directory import SUFFIXES, Directory
from osbuild_compose.distro.repository import DebRepository, LocalFile
from osbuild_compose.problem import InvalidValueError

_SHOWN = 60  # characters of a path in a message
_RELEASES = ("InRelease", "Release", "Release.gpg")


def files(repository: DebRepository, architecture: str) -> tuple[LocalFile, ...]:
    """The indexes of the repository's suites and components, and their packages of the architecture.

    Raises InvalidValueError for a directory that is no such repository.
    """
    directory = Directory(repository.directory or "")
    found: list[LocalFile] = []
    for suite in repository.suites:
        found += _of_suite(directory, repository, suite, architecture)
    return directory.limited(found)


def _of_suite(directory: Directory, repository: DebRepository, suite: str, architecture: str) -> Iterator[LocalFile]:
    flat = suite.endswith("/")
    top = suite.strip("/").removeprefix("./").strip(".") if flat else f"dists/{suite}"
    below = [
        f"{component}/binary-{one}/" for component in repository.components for one in (architecture, "all") if not flat
    ]
    before = f"{top}/" if top else ""
    releases = [f"{before}{name}" for name in _RELEASES if directory.has(f"{before}{name}")]
    indexes = [
        [path for suffix in SUFFIXES if directory.has(path := f"{before}{part}Packages{suffix}")]
        for part in below or [""]
    ]
    if not any(indexes):
        where = f"{directory.root / top}"
        what = "Packages" if flat else f"{'|'.join(repository.components)}/binary-{architecture}/Packages"
        hint = "make it with: dpkg-scanpackages . >Packages" if flat else "check `suites` and `components`"
        raise InvalidValueError(f"there is no {what} in {where}", _other_form(directory, flat) or hint)
    if repository.check_signatures and not releases:
        brief = f"{directory.root / top} has no Release file, so nothing says who made it"
        raise InvalidValueError(brief, "sign it, or write check_signatures: false")
    yield from (directory.file(path) for path in releases)
    for same in filter(None, indexes):
        yield from (directory.file(path) for path in same)
        yield from _packages(directory, same[0], must_have_some=flat)


def _other_form(directory: Directory, flat: bool) -> str:
    """A hint for a repository in the other form than its `suites` say."""
    dists = directory.root / "dists"
    if flat and os.path.isdir(dists) and os.access(dists, os.R_OK):
        names = sorted(path.name for path in dists.iterdir() if path.is_dir())
        return f"it has suites: {', '.join(names[:5])}" if names else ""
    if not flat and any(directory.has(f"Packages{suffix}") for suffix in SUFFIXES):
        return "it is a flat repository: write suites: [./], without `components`"
    return ""


def _packages(directory: Directory, index: str, *, must_have_some: bool) -> Iterator[LocalFile]:
    missing, found = "", False
    for stanza in directory.text(index).split("\n\n"):
        fields = dict(re.findall(r"^(Filename|SHA256):[ \t]*(\S.*)$", stanza, re.MULTILINE))
        if "Filename" not in fields:
            continue
        if not re.fullmatch(r"[0-9a-f]{64}", fields.get("SHA256", "")):
            brief = (
                f"{directory.root / index} has no SHA256 of {fields['Filename']}, without which apt does not take it"
            )
            raise InvalidValueError(brief, "make the index anew")
        if directory.has(fields["Filename"]):  # apt misses others only once they are wanted
            found = True
            yield directory.file(fields["Filename"], fields["SHA256"])
        else:
            missing = missing or fields["Filename"]
    if must_have_some and missing and not found:
        brief = f"there is no package that {directory.root / index} names, such as {missing[:_SHOWN]}"
        raise InvalidValueError(brief, "its paths begin at the repository's own directory: run dpkg-scanpackages there")
