"""Resolve dependencies with apt: the list of archives to install."""

import contextlib
import difflib
import fnmatch
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import unquote

from stagelib.apt.config import Apt
from stagelib.errors import StageError

URI_LINE = re.compile(r"^'(?P<uri>[^']+)' (?P<file>\S+) (?P<size>\d+) (?:SHA256:(?P<sha256>[0-9a-f]{64}))?\s*$")

ESSENTIAL = "?essential"  # a pattern of apt's, apt-patterns(7)
NOTATION = re.compile(r"[:=/]")  # what ends the name in apt's notation of a package
WILD = re.compile(r"[*?]")
FILE = re.compile(r"[A-Za-z0-9][^/]*")  # apt quotes a slash in a version, but not in a name


@dataclass(frozen=True)
class Archive:
    """A .deb that apt chose: URI, apt's file name, size in bytes, sha256 from the signed index."""

    uri: str
    file: str
    size: int
    sha256: str

    @property
    def package(self) -> str:
        """The name of its package."""
        return self.file.partition("_")[0]

    def __str__(self) -> str:
        return unquote(self.file)


def expanded(apt: Apt, packages: Sequence[str], exclude: Sequence[str]) -> list[str]:
    """The packages with each pattern of names (`*` and `?`) replaced by those it matches, but not the excluded ones.

    apt's own patterns are off, since a name may look like one. Raises StageError for a pattern that matches none.
    """
    patterns = [one for one in packages if WILD.search(NOTATION.split(one)[0])]
    if not patterns:
        return list(packages)
    known = sorted({*apt.run(["apt-cache", "pkgnames"]).stdout.split()} - {*exclude})
    found: list[str] = []
    for one in packages:
        name = NOTATION.split(one)[0]
        matching = fnmatch.filter(known, name) if one in patterns else [name]
        if not matching:
            raise StageError(f"the repositories have no package {name}", "check the pattern, the suites and components")
        found += [match + one.removeprefix(name) for match in matching]
    return list(dict.fromkeys(found))


def archives(apt: Apt, packages: Sequence[str], given: Mapping[str, str] = MappingProxyType({})) -> list[Archive]:
    """The archives to install so that `packages` (apt's notation) are, in apt's order; empty if they all are already.

    given: the sha256 of files that are to be installed, by their paths, which are among the packages.
    Raises StageError with the reason: all unknown names at once, conflicts in apt's words.
    """
    done = apt.run(["apt-get", "install", "-q", "--print-uris", "--", *packages])
    if done.returncode != 0:
        raise _explain(apt, packages, done.stdout, done.stderr)
    found = []
    for line in done.stdout.splitlines():
        match = URI_LINE.match(line)
        if match and not FILE.fullmatch(match["file"]):
            raise StageError(f"a repository has a package with an impossible name: {line}", "leave the repository out")
        digest = match and (match["sha256"] or given.get(match["uri"].removeprefix("file:")))
        if match and digest:
            found.append(Archive(match["uri"], match["file"], int(match["size"]), digest))
        elif line.startswith("'"):
            raise StageError(f"the repository gives no sha256 for {line}", "use a repository made with SHA256 sums")
    return found


def for_an_empty_tree(
    apt: Apt, packages: Sequence[str], given: Mapping[str, str] = MappingProxyType({})
) -> tuple[list[Archive], frozenset[str]]:
    """The archives to install so that a tree without packages has the Essential ones and `packages`, in apt's order;
    and the names of the packages that Essential ones alone would bring.

    Those are all in the tree, as in one where they are installed first, unless they contradict `packages`: without
    this, gawk would come instead of mawk. Raises StageError as archives() does.
    """
    with ThreadPoolExecutor() as pool:  # apt takes most of the time to read its indexes
        alone = pool.submit(archives, apt, [ESSENTIAL])
        chosen = pool.submit(archives, apt, [ESSENTIAL, *packages], given).result() if packages else alone.result()
        essential = frozenset(one.package for one in alone.result())
    if not essential <= {one.package for one in chosen}:
        with contextlib.suppress(StageError):
            chosen = archives(apt, [ESSENTIAL, *sorted(essential), *packages], given)
    return chosen, essential


def _there(apt: Apt, name: str) -> str:
    """The versions of a package that the repositories have, for people."""
    printed = apt.run(["apt-cache", "madison", name]).stdout
    versions = dict.fromkeys(line.split("|")[1].strip() for line in printed.splitlines() if line.count("|") == 2)
    return f"{name}={f', {name}='.join(versions)}" if versions else f"no version of {name}"


def _explain(apt: Apt, packages: Sequence[str], stdout: str, stderr: str) -> StageError:
    missing = re.findall(r"^E: Unable to locate package (\S+)$", stderr, re.MULTILINE)
    missing += re.findall(r"^E: Package '(\S+)' has no installation candidate$", stderr, re.MULTILINE)
    if missing:
        known = set(apt.run(["apt-cache", "pkgnames"]).stdout.split())
        near = [
            (name, difflib.get_close_matches(name, known, n=1, cutoff=0.7)) for name in missing if name not in known
        ]
        hints = [f"did you mean {match[0]} instead of {name}?" for name, match in near if match]
        what = "package" if len(missing) == 1 else "packages"
        return StageError(
            f"the repositories have no {what} {', '.join(missing)}",
            " ".join(hints) or "check the names, the suites and components, and `exclude`",
        )
    versions = re.findall(
        r"^E: (Version '\S+' for '(\S+)' was not found|Release '\S+' for '(\S+)' was not found)$", stderr, re.M
    )
    if versions:
        there = "; ".join(_there(apt, name or other) for _, name, other in versions)
        return StageError("; ".join(text for text, _, _ in versions), f"the repositories have {there}")
    broken = stdout[stdout.find("The following packages have unmet dependencies:") :]
    if broken.startswith("The following"):
        lines = [line.strip() for line in broken.splitlines()[1:] if line.strip()]
        return StageError(
            "these packages cannot be installed together:\n  " + "\n  ".join(lines),
            "remove one of them, remove what they need from `exclude`, or add a repository that has it",
        )
    errors = [line[3:] for line in stderr.splitlines() if line.startswith("E: ")]
    return StageError(f"apt cannot resolve {' '.join(packages)}: {'; '.join(errors) or stderr.strip()}")
