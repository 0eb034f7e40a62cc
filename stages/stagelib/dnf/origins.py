"""Which repository a package comes from, by dnf's table of what it will do."""

import re
from collections.abc import Sequence

from stagelib.dnf.options import Options, Repository

ID = re.compile(r"\b(repo\d+)\b")
# "  Installing       : docs-1-1.x86_64     1/2" and "[3/4] Installing docs-0:1-1.x86_64      100% | ..."
INSTALLING = re.compile(r"^(?:\s*Installing\s+:|\[ *\d+/\d+\] Installing)\s+(\S+)")
WITH_EPOCH = re.compile(r"-\d+:(?=[^-]+-[^-]+$)")


class Origins:
    """What dnf printed, asked for packages by name-version-release.arch."""

    def __init__(self, options: Options, lines: Sequence[str]) -> None:
        self._options = options
        self._lines = lines
        self._repositories: dict[str, str] = {}
        before = ""
        for line in lines:
            words = line.split()
            if len(words) == 1:
                before = words[0]  # a name too long for its column, with the rest on the next line
                continue
            if len(words) >= 3 and ID.fullmatch(words[2]):
                words = [before, *words]
            if len(words) >= 4 and ID.fullmatch(words[3]):
                self._repositories[f"{words[0]}-{words[2].rpartition(':')[2]}.{words[1]}"] = words[3]

    def of(self, package: str) -> str:
        """The package's repository, in words."""
        found = by_id(self._repositories.get(self._whole(package), ""), self._options)
        return f"the repository {found.url}" if found else everywhere(self._options)

    def _whole(self, package: str) -> str:
        """The package without its epoch, and with the end that dnf5 cuts off."""
        package = WITH_EPOCH.sub("-", package)
        return next((name for name in self._repositories if name.startswith(package)), package)

    def installed_before(self, number: int) -> str:
        """The package whose installation was told last before a line, and its repository, in words."""
        for line in reversed(self._lines[:number]):
            if match := INSTALLING.match(line):
                return f"{self._whole(match[1])} from {self.of(match[1])}"
        return "a package"


def by_id(name: str, options: Options) -> Repository | None:
    """The repository that dnf knows by this name."""
    return next((one for one in options.repositories if one.id == name), None)


def everywhere(options: Options) -> str:
    """All repositories, in words."""
    urls = [one.url for one in options.repositories]
    return f"one of the repositories {', '.join(urls)}" if len(urls) > 1 else f"the repository {urls[0]}"


def readable(text: str, options: Options) -> str:
    """dnf's text with the repositories' URLs instead of the names that we gave them."""

    def named(match: re.Match[str]) -> str:
        one = by_id(match[1], options)
        return one.url if one else match[1]

    return ID.sub(named, text)
