"""What dnf and rpm print, as errors a person can act on; dnf's exit status says little.

dnf ends with 0 although a package's script failed and although files have an owner that does not exist.
"""

import re
from collections.abc import Iterable, Sequence

from stagelib.dnf.command import Ended
from stagelib.dnf.options import Options, Repository
from stagelib.dnf.shelf import Shelf
from stagelib.stage import StageError

# rpm's: "warning: %post(kernel-core-6.1-1.x86_64) scriptlet failed, exit status 1"; dnf5 puts ">>> [RPM] " in front.
SCRIPT = re.compile(r"(%\w+)\(([^)]+)\) scriptlet failed(?:, (.*))?$")
OWNER = re.compile(r"\b(user|group) (\S+) does not exist - using root")
MISSING = re.compile(r"No match for argument: (.+)$")
GROUP = re.compile(r"(?:Module or Group '(.+)' is not available|Group '(.+)' does not exist|No match for group: (.+)$)")
UNSIGNED = re.compile(r"Package (\S+) is not signed|The package \"?(\S+?)\"? is not signed")
FOREIGN_KEY = re.compile(r"Failing package is: (\S+)|Public key for (\S+) is not installed")
DAMAGED = re.compile(r"^(?:\[MIRROR\] )?(?:Error: )?(.*checksum doesn't match.*|.*has incorrect checksum.*)$")
NO_SPACE = re.compile(r"No space left on device|more space needed on the|needs \S+ more space")
REPOSITORY = re.compile(r"\b(repo\d+)\b")
# What went wrong with a repository, and what a person can do about it. The first match counts.
HINTS = (
    (r"checksum doesn't match|bad checksum|Checksum", "the mirror is not in step with its metalink: try again later"),
    (r"SSL|certificate", "check the repository's sslcacert, sslclientcert and sslclientkey"),
    (r"Status code: 40[13]", "check the repository's sslclientcert and sslclientkey"),
    (r"Status code: 404", "check the repository's URL, releasever and basearch"),
    (r"resolve host|connect|timed out|Timeout|refused", "check the repository's URL and the network"),
)  # fmt: skip


def check_repositories(options: Options, shelf: Shelf) -> None:
    """Raise StageError for a repository whose repomd.xml is there and is not the one that the options ask for."""
    for one in options.repositories:
        found = shelf.repomd(one)
        if one.checksum and found and found != one.checksum:
            raise StageError(
                f"the repository {one.url} has changed: its repomd.xml has the checksum sha256:{found}, "
                f"not sha256:{one.checksum}",
                "take today's state by giving the new checksum, or a mirror that still has the old one",
            )


def check_download(done: Ended, options: Options) -> None:
    """Raise StageError unless everything was found and downloaded."""
    groups = [next(filter(None, found)) for found in _found(GROUP, done.lines)]
    if groups:
        raise StageError(
            f"{_repositories(options)} have no group {', '.join(groups)}",
            "`dnf group list --hidden --ids` shows the groups of a repository; a group's id or name follows the @",
        )
    missing = [found[0] for found in _found(MISSING, done.lines)]
    if missing:
        what = "package" if len(missing) == 1 else "packages"
        raise StageError(
            f"{_repositories(options)} have no {what} {', '.join(missing)}",
            "check the names, releasever and basearch, and `exclude_packages`",
        )
    if done.status != 0:
        raise _failure(done, options, "cannot resolve or download the packages")


def check_installation(done: Ended, options: Options) -> None:
    """Raise StageError unless everything was installed and every script did its work."""
    for pattern, told, hint in (
        (UNSIGNED, "is not signed", "sign it, or leave out the repository's gpgkey if its packages are not"),
        (FOREIGN_KEY, "is not signed by a key of its repository", "give the repository's own keys as gpgkey"),
    ):
        packages = [next(filter(None, found)) for found in _found(pattern, done.lines)]
        if packages:
            where = _named(_origin(packages[0], done.lines, options))
            raise StageError(f"the package {packages[0].removesuffix('.rpm')} from {where} {told}", hint)
    scripts = [f"%{name.lstrip('%')} of {package}" for name, package, _ in _found(SCRIPT, done.lines)]
    if scripts:
        raise StageError(
            f"a package's script failed: {', '.join(scripts)}", "what it printed is in the log, before the message"
        )
    owners = [f"{kind} {name}" for kind, name in _found(OWNER, done.lines)]
    if owners:
        raise StageError(
            f"files should belong to the {' and the '.join(owners)}, which the tree does not have",
            "a package lacks the dependency that makes it: name that package, too, or report the bug to its maker",
        )
    if done.status != 0:
        raise _failure(done, options, "cannot install the packages")


def _failure(done: Ended, options: Options, what: str) -> StageError:
    """The error for a dnf that failed, in its own words where no pattern knows better."""
    if any(NO_SPACE.search(line) for line in done.lines):
        return StageError("no space left for the packages", "free some space where the trees and the downloads are")
    if damaged := _found(DAMAGED, done.lines):
        return StageError(
            f"a package of {_repositories(options)} is not what its metadata say: {_readable(damaged[0][0], options)}",
            "the mirror is damaged or changing: try again later, or another one",
        )
    errors = _errors(done.lines)
    text = _readable("\n  ".join(errors) or f"dnf ended with status {done.status}", options)
    hint = next((hint for pattern, hint in HINTS if re.search(pattern, text)), "")
    if "nothing provides" in text or "conflict" in text.lower():
        hint = "add the repository that has what is missing, or leave out one of the packages"
    return StageError(f"{what}: {text}", hint)


def _errors(lines: Sequence[str]) -> list[str]:
    """What dnf says after its "Error:", or its "Problem" lines, to the end."""
    starts = [number for number, line in enumerate(lines) if re.match(r"(Error|Failed|Problem)\b.*:", line.strip())]
    if not starts:
        return [line.strip() for line in lines[-3:] if line.strip()]
    return [line.strip().removeprefix("Error: ") for line in lines[starts[0] :] if line.strip() not in ("", "Error:")]


def _found(pattern: re.Pattern[str], lines: Iterable[str]) -> list[tuple[str, ...]]:
    matches = (pattern.search(line) for line in lines)
    return list(dict.fromkeys(match.groups(default="") for match in matches if match))


def _origin(package: str, lines: Sequence[str], options: Options) -> Repository | None:
    """The repository that a package (name-version-release.arch) comes from, by dnf's table of what it will do."""
    for line in lines:
        words = line.split()
        if len(words) >= 4 and package.startswith(words[0]) and (match := REPOSITORY.fullmatch(words[3])):
            return _by_id(match[1], options)
    return options.repositories[0] if len(options.repositories) == 1 else None


def _by_id(name: str, options: Options) -> Repository | None:
    return next((one for one in options.repositories if one.id == name), None)


def _named(one: Repository | None) -> str:
    return f"the repository {one.url}" if one else "one of the repositories"


def _repositories(options: Options) -> str:
    """All repositories, by their URLs."""
    urls = [one.url for one in options.repositories]
    return f"the repositories ({', '.join(urls)})" if len(urls) > 1 else f"the repository ({urls[0]})"


def _readable(text: str, options: Options) -> str:
    """dnf's text with the repositories' URLs instead of the names that we gave them."""

    def named(match: re.Match[str]) -> str:
        one = _by_id(match[1], options)
        return one.url if one else match[1]

    return REPOSITORY.sub(named, text)
