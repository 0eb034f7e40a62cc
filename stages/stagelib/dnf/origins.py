"""The repositories of packages, from dnf's table of the transaction."""

import re
from collections.abc import Sequence

from stagelib.dnf.options import Options, Repository

ID = re.compile(r"\b(repo\d+)\b")
# "  Installing       : docs-1-1.x86_64     1/2" and "[3/4] Installing docs-0:1-1.x86_64      100% | ..."
INSTALLING = re.compile(r"^(?:\s*Installing\s+:|\[ *\d+/\d+\] Installing)\s+(\S+)")
WITH_EPOCH = re.compile(r"-\d+:(?=[^-]+-[^-]+$)")


class Origins:
    """The repositories of packages in dnf's output, by name-version-release.arch."""

    def __init__(self, options: Options, lines: Sequence[str]) -> None:
        self._options = options
        self._lines = lines
        self._repositories: dict[str, str] = {}
        before = ""
        for line in lines:
            words = line.split()
            if len(words) == 1:
                before = words[0]  # a name too long for its column; the rest is on the next line
                continue
            if len(words) >= 3 and ID.fullmatch(words[2]):
                words = [before, *words]
            if len(words) >= 4 and ID.fullmatch(words[3]):
                self._repositories[f"{words[0]}-{words[2].rpartition(':')[2]}.{words[1]}"] = words[3]

    def repository_of(self, package: str) -> str:
        """A description of the package's repository."""
        found = by_id(self._repositories.get(self._whole(package), ""), self._options)
        return f"the repository {found.url}" if found else everywhere(self._options)

    def _whole(self, package: str) -> str:
        """The package without its epoch, and completed where dnf5 truncates it."""
        package = WITH_EPOCH.sub("-", package)
        return next((name for name in self._repositories if name.startswith(package)), package)

    def installed_before(self, number: int) -> str:
        """A description of the last package installed before a line, and its repository."""
        for line in reversed(self._lines[:number]):
            if match := INSTALLING.match(line):
                return f"{self._whole(match[1])} from {self.repository_of(match[1])}"
        return "a package"


def by_id(name: str, options: Options) -> Repository | None:
    """The repository with this id."""
    return next((one for one in options.repositories if one.id == name), None)


def everywhere(options: Options) -> str:
    """A description of all repositories."""
    urls = [one.url for one in options.repositories]
    return f"one of the repositories {', '.join(urls)}" if len(urls) > 1 else f"the repository {urls[0]}"


def readable(text: str, options: Options) -> str:
    """dnf's text with the repositories' URLs in place of their ids."""

    def named(match: re.Match[str]) -> str:
        one = by_id(match[1], options)
        return one.url if one else match[1]

    return ID.sub(named, text)
