"""Errors a person can act on, from what dnf and rpm print; dnf's exit status says little.

dnf 4 ends with 0 although a package's script failed, and both versions do although files have an owner that does not
exist. Each pattern is for what dnf 4.14 to 4.24 and dnf5 5.2 to 5.4 print. Where no pattern of a wrong request matches,
explain() looks for the network, the mirror, the solver and the disk.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from stagelib.dnf.command import Ended
from stagelib.dnf.options import Options
from stagelib.dnf.origins import Origins, by_id, everywhere, readable
from stagelib.dnf.package_cache import PackageCache
from stagelib.errors import StageError

# rpm's: "warning: %post(kernel-core-6.1-1.x86_64) scriptlet failed, exit status 1"; dnf5 puts ">>> [RPM] " in front.
SCRIPT = re.compile(r"(%\w+)\(([^)]+)\) scriptlet failed(?:, (.*))?$")
OWNER = re.compile(r"\b(user|group) (\S+) does not exist - using root")
MISSING = re.compile(r"No (?:match|packages to remove) for argument: (.+)$")
GROUP = re.compile(r"(?:Module or Group '(.+)' is not available|Group '(.+)' does not exist|No match for group: (.+)$)")
MODULE = re.compile(r"(?:missing groups or modules|No match for argument): (.+)$")
# Problems with a package's signature: dnf 4's message, dnf5's reason, our message, our hint.
CHECKED = re.compile(r'OpenPGP check for package "([^"]+)" .* has failed: (.*)$')
SIGNATURES = (
    (
        r"^Package (\S+) is not signed",
        "not signed",
        "is not signed",
        "sign it, or remove the repository's gpgkey if its packages are not signed",
    ),
    (
        r"^Problem opening package (\S+)",
        "opening the package",
        "is damaged or was tampered with",
        "use another mirror of the repository",
    ),
    (
        r"^(?:.*Failing package is: (\S+)|Public key for (\S+) is not installed)",
        "",
        "is not signed by a key of its repository",
        "set gpgkey to the repository's own keys",
    ),
)


def check_repositories(options: Options, shelf: PackageCache) -> None:
    """Raise StageError for a repository whose repomd.xml differs from the checksum in the options."""
    for one in options.repositories:
        found = shelf.repomd(one)
        if one.checksum and found and found != one.checksum:
            raise StageError(
                f"the repository {one.url} has changed: its repomd.xml has the checksum sha256:{found}, "
                f"not sha256:{one.checksum}",
                "use the new checksum, or a mirror that still has the old state",
            )


def check_found(done: Ended, options: Options) -> None:
    """Raise StageError for packages and groups that do not exist."""
    groups = [next(filter(None, found)) for found in _found(GROUP, done.lines)]
    missing = [found[0] for found in _found(MISSING, done.lines)]
    # dnf5 does not say whether it looked for a package or a group.
    asked = options.packages if options.operation == "groupinstall" else options.groups
    groups += [name for name in missing if name in asked]
    if groups:
        raise no_group(groups, options)
    if missing and options.operation == "remove":
        raise StageError(f"there is no package {', '.join(missing)} in the tree", "check the names")
    if missing:
        raise StageError(
            f"there is no package {', '.join(missing)} in {everywhere(options)}",
            "check the names, releasever and basearch, and `exclude_packages`",
        )


def check_download(done: Ended, options: Options) -> None:
    """Raise StageError unless everything was found and downloaded."""
    check_found(done, options)
    if done.status != 0:
        raise explain(done, options, "cannot resolve or download the packages")


def check_modules(done: Ended, options: Options) -> None:
    """Raise StageError unless all streams of modules were enabled."""
    if missing := [name for (found,) in _found(MODULE, done.lines) for name in found.split(", ")]:
        raise StageError(
            f"there is no module {', '.join(missing)} in {everywhere(options)}",
            "`dnf module list` shows the modules of a repository and their streams",
        )
    if done.status != 0:
        raise explain(done, options, "cannot enable the modules")


def no_group(names: Sequence[str], options: Options) -> StageError:
    """The error for groups that no repository has."""
    return StageError(
        f"there is no group {', '.join(names)} in {everywhere(options)}",
        "`dnf group list --hidden` shows the groups of a repository; a group's id or name follows the @",
    )


def check_installation(done: Ended, options: Options) -> None:
    """Raise StageError unless everything was installed and every script did its work."""
    check_found(done, options)
    origins = Origins(options, done.lines)
    _check_signatures(done.lines, origins)
    check_rpm(done.lines, lambda package: f"{package} from {origins.repository_of(package)}", origins.installed_before)
    if done.status != 0:
        raise explain(done, options, "cannot install the packages")


def check_rpm(lines: Sequence[str], named: Callable[[str], str], installed_before: Callable[[int], str]) -> None:
    """Raise StageError for scripts that failed and for owners that the tree does not have.

    named: describes a package; installed_before: describes the package to which a line belongs, by the line's number.
    """
    scripts = _found(SCRIPT, lines)
    if scripts:
        failed = [f"%{name.lstrip('%')} of {package}" for name, package, _ in scripts[:-1]]
        failed.append(f"%{scripts[-1][0].lstrip('%')} of {named(scripts[-1][1])}")
        raise StageError(
            f"a package's script failed: {', '.join(failed)}", "its output is in the log, before the message"
        )
    for number, line in enumerate(lines):
        if match := OWNER.search(line):
            raise StageError(
                f"files of {installed_before(number)} should belong to the {match[1]} {match[2]}, "
                "which the tree does not have",
                "the package lacks a dependency on the package that creates it: add that package, or report the bug",
            )


def _check_signatures(lines: Sequence[str], origins: Origins) -> None:
    for old, new, message, hint in SIGNATURES:
        packages = [next(filter(None, found)) for found in _found(re.compile(old), lines)]
        packages += [package for package, reason in _found(CHECKED, lines) if new in reason]
        if packages:
            package = packages[0].removesuffix(".rpm")
            raise StageError(f"the package {package} from {origins.repository_of(package)} {message}", hint)


def _found(pattern: re.Pattern[str], lines: Iterable[str]) -> list[tuple[str, ...]]:
    matches = (pattern.search(line) for line in lines)
    return list(dict.fromkeys(match.groups(default="") for match in matches if match))


NO_SPACE = re.compile(r"No space left on device|more space needed on the|needs \S+ more space")
METADATA = re.compile(r"Errors during downloading metadata for repository '(repo\d+)'|for repository \"(repo\d+)\":")
PACKAGE = re.compile(r"^(?:\[MIRROR\] |.*Cannot download (?:.*/)?)([^/\s:]+)\.rpm:")
# Lines with a reason: "  - Curl error (7): ..." of dnf 4, ">>> Curl error (7): ..." of dnf5, "[MIRROR] x.rpm: ...".
REASON = re.compile(r"^(?:\s+- |>>> |\[MIRROR\] \S+\.rpm: )(.*(?:error|[Ss]tatus|checksum|[Ff]ailed|timed out).*)$")
CHECKSUM = re.compile(r"Downloading successful, but (checksum doesn't match).*")
REPEATED_URL = re.compile(r" - \w+://\S+$")
ADVICE = re.compile(r"^(\(?try to add|You can try to add|--\w)")
# The first match wins.
HINTS = (
    # A server that wants a certificate only hangs up, in TLS 1.3 at any moment after the handshake.
    (
        r"SSL|TLS|certificate|Curl error \(5[56]\): .* for https:",
        "check the repository's sslcacert, sslclientcert and sslclientkey",
    ),
    (r"[Ss]tatus code: 40[13]", "check the repository's sslclientcert and sslclientkey"),
    (r"[Ss]tatus code: 404", "check the repository's URL, releasever and basearch"),
    (r"Curl error|resolve host|connect|timed out|Timeout|refused", "check the repository's URL and the network"),
)  # fmt: skip
MIRROR = "the mirror is damaged or changing: try again later, or another one"
OUT_OF_STEP = "the mirror is not in step with its metalink: try again later"


def explain(done: Ended, options: Options, what: str) -> StageError:
    """The error for a failed dnf; `what` says what it could not do."""
    if any(NO_SPACE.search(line) for line in done.lines):
        return StageError("no space left for the packages", "free some space where the trees and the downloads are")
    for line in done.lines:
        if match := METADATA.search(line):
            one = by_id(match[1] or match[2], options)
            reason = _reason(done.lines) or line.strip()
            changed = OUT_OF_STEP if one and one.kind == "metalink" else MIRROR
            return StageError(
                f"cannot read the repository {one.url if one else ''}: {readable(reason, options)}",
                changed if "checksum" in reason else _hint(reason),
            )
    for line in done.lines:
        if match := PACKAGE.search(line):
            reason = _reason(done.lines) or "it is on none of its mirrors"
            origin = Origins(options, done.lines).repository_of(match[1])
            return StageError(
                f"cannot download the package {match[1]} from {origin}: {reason}",
                MIRROR if "checksum" in reason else _hint(reason),
            )
    problems = _after(done.lines, r"Problem\b.*:")
    if problems:
        return StageError(
            f"{what} of {everywhere(options)}: {readable('; '.join(problems), options)}",
            "add a repository that has what is missing, or remove one of the packages",
        )
    errors = _after(done.lines, r"(Error|Failed|Transaction failed)\b.*:") or [f"dnf ended with status {done.status}"]
    text = readable("; ".join(errors), options)
    return StageError(f"{what} of {everywhere(options)}: {text}", _hint(text))


def _reason(lines: Sequence[str]) -> str:
    """The first reason in the output, without what the error message contains anyway."""
    for line in lines:
        if match := REASON.match(line):
            return REPEATED_URL.sub("", CHECKSUM.sub(r"\1", match[1]))
    return ""


def _hint(text: str) -> str:
    return next((hint for pattern, hint in HINTS if re.search(pattern, text)), "")


def _after(lines: Sequence[str], start: str) -> list[str]:
    """dnf's output from the first matching line on, without its advice about command line options."""
    stripped = [line.strip() for line in lines]
    begin = next((number for number, line in enumerate(stripped) if re.match(start, line)), len(lines))
    said = [line for line in stripped[begin:] if not ADVICE.match(line)]
    return [text for line in said if (text := re.sub(r"^(Error:|Problem( \d+)?:|-) *", "", line))]
