"""Packages in the notation of `apt-get install`: a name, then perhaps an architecture, a version or a suite."""

import re

# A pattern may stand for a name and for a version: * and ? as in a shell.
_WANTED = re.compile(
    r"(?P<name>[a-z0-9*?][a-z0-9+.*?-]*)(?::(?P<architecture>[a-z0-9-]+))?"
    r"(?:=(?P<version>[A-Za-z0-9.+~:*?-]+)|/(?P<suite>[A-Za-z0-9][A-Za-z0-9._/-]*))?"
)
_COMPARED = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]*?)\s*\(?\s*(?P<sign>>=|<=|>>|<<|==|=|>|<)\s*(?P<version>[^\s()]+)\s*\)?"
)
_OF_FILE = re.compile(r"(?P<name>[a-z0-9][a-z0-9+.-]*)_(?P<version>[A-Za-z0-9.+~:-]+?)(?:_[a-z0-9]+)?")
_VERSION = re.compile(r"[A-Za-z0-9.+~:*?-]+")
_OWN = ("native", "all", "any")  # architectures that apt takes for the system's own


def name_of(wanted: str) -> str:
    """The name in a package's notation."""
    return re.split(r"[:=/]", wanted, maxsplit=1)[0]


def problem(wanted: str, architecture: str) -> tuple[str, str] | None:
    """Why apt does not take this for a package of the architecture, and what to do about it; None if it does."""
    match = _WANTED.fullmatch(wanted)
    if match:
        other = match["architecture"]
        if other in (None, architecture, *_OWN):
            return None
        brief = (
            f"{wanted} is of another architecture: its images have no multi-arch, all packages are of {architecture}"
        )
        return brief, f"write {wanted.replace(f':{other}', '', 1)}"
    trimmed = wanted.strip().lower()
    meant = f"write {trimmed}" if trimmed != wanted and _WANTED.fullmatch(trimmed) else _hint(wanted)
    return f"{wanted} is not the name of a package", meant


def _hint(wanted: str) -> str:  # noqa: PLR0911 - one for each kind
    if wanted.startswith("@"):
        return "it has no package groups: name packages; its tasks are packages such as task-ssh-server"
    if wanted.endswith("^"):
        return f"tasks are packages: task-{wanted[:-1]}, if there is one"
    if wanted.startswith("/"):
        return "name the package that has this file; `apt-file search` and packages.debian.org find it"
    if match := _COMPARED.fullmatch(wanted):
        name, version = match["name"], match["version"]
        if not _VERSION.fullmatch(version):
            return f"{version} is not a version: `apt-cache policy {name}` prints those that there are"
        if match["sign"] in ("=", "=="):
            return f"write {name}={version}"
        return (
            f"apt-get does not compare versions: write {name}={version}* for those that begin so, {name}/SUITE for "
            f"that of a suite, or {name} for the newest"
        )
    if match := _OF_FILE.fullmatch(wanted):
        return f"write {match['name']}={match['version']}"
    return "lower case, then perhaps =VERSION, which may be a pattern such as 1.22*, or /SUITE"
