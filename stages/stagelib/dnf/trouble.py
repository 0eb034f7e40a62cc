"""Why dnf failed, where no pattern for a wrong request knows better: the network, the mirror, the solver, the disk."""

import re
from collections.abc import Sequence

from stagelib.dnf.command import Ended
from stagelib.dnf.options import Options
from stagelib.dnf.origins import Origins, by_id, everywhere, readable
from stagelib.stage import StageError

NO_SPACE = re.compile(r"No space left on device|more space needed on the|needs \S+ more space")
METADATA = re.compile(r"Errors during downloading metadata for repository '(repo\d+)'|for repository \"(repo\d+)\":")
PACKAGE = re.compile(r"^(?:\[MIRROR\] |.*Cannot download (?:.*/)?)([^/\s:]+)\.rpm:")
# Lines with a reason: "  - Curl error (7): ..." of dnf 4, ">>> Curl error (7): ..." of dnf5, "[MIRROR] x.rpm: ...".
REASON = re.compile(r"^(?:\s+- |>>> |\[MIRROR\] \S+\.rpm: )(.*(?:error|[Ss]tatus|checksum|[Ff]ailed|timed out).*)$")
CHECKSUM = re.compile(r"Downloading successful, but (checksum doesn't match).*")
REPEATED_URL = re.compile(r" - \w+://\S+$")
ADVICE = re.compile(r"^(\(?try to add|You can try to add|--\w)")
# The first match counts.
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


def of(done: Ended, options: Options, what: str) -> StageError:
    """The error for a dnf that failed; `what` says what it could not do."""
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
            return StageError(
                f"cannot download the package {match[1]} from {Origins(options, done.lines).of(match[1])}: {reason}",
                MIRROR if "checksum" in reason else _hint(reason),
            )
    problems = _after(done.lines, r"Problem\b.*:")
    if problems:
        return StageError(
            f"{what} of {everywhere(options)}: {readable('; '.join(problems), options)}",
            "add the repository that has what is missing, or leave out one of the packages",
        )
    errors = _after(done.lines, r"(Error|Failed|Transaction failed)\b.*:") or [f"dnf ended with status {done.status}"]
    text = readable("; ".join(errors), options)
    return StageError(f"{what} of {everywhere(options)}: {text}", _hint(text))


def _reason(lines: Sequence[str]) -> str:
    """The first reason that is told, without what is said elsewhere."""
    for line in lines:
        if match := REASON.match(line):
            return REPEATED_URL.sub("", CHECKSUM.sub(r"\1", match[1]))
    return ""


def _hint(text: str) -> str:
    return next((hint for pattern, hint in HINTS if re.search(pattern, text)), "")


def _after(lines: Sequence[str], start: str) -> list[str]:
    """What dnf says from the first line that matches to the end, without its advice about its command line."""
    stripped = [line.strip() for line in lines]
    begin = next((number for number, line in enumerate(stripped) if re.match(start, line)), len(lines))
    said = [line for line in stripped[begin:] if not ADVICE.match(line)]
    return [text for line in said if (text := re.sub(r"^(Error:|Problem( \d+)?:|-) *", "", line))]
