"""Downloads many files with one curl process: its configuration, and what to do about each outcome."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.sources import space

PARALLEL = 8
ARGV = ("curl", "--config", "-", "--parallel", "--parallel-max", str(PARALLEL), "--parallel-immediate")
QUIET = "--no-progress-meter"
# Exit codes, curl(1).
DONE = 0
WRITE_FAILED = 23
TOO_LARGE = 63
TEMPORARY = (408, 429)  # the only ones of HTTP's 4xx that another attempt may change
_LINE = re.compile(r"(\d+) ([0-9a-f]{64}) (\d+) ([\d.]+) (.*)")


@dataclass(frozen=True)
class Outcome:
    """How the transfer of one file ended.

    code is curl's exit code, status that of HTTP or 0. reached: whether the request was sent.
    """

    code: int
    status: int
    reached: bool
    message: str

    @property
    def too_large(self) -> bool:
        """Whether the file did not fit into the space that it could have."""
        return self.code in (TOO_LARGE, WRITE_FAILED)

    def reason(self, room: int, directory: Path) -> str:
        """Why it failed, for people. room: how many bytes the file could have."""
        if self.code == DONE:
            return "the content does not match the digest"
        if self.too_large:
            return f"it does not fit: {space.shown(room)} can be used in {directory}"
        return f"{self.message} (HTTP {self.status})" if self.status else self.message


@dataclass(frozen=True)
class Verdict:
    """Whether a partial download is useless, and whether another attempt may succeed."""

    drop: bool
    again: bool


def verdict(outcome: Outcome, before: int, now: int) -> Verdict:
    """The verdict on an incomplete file. before and now: its bytes before and after the attempt.

    A server that was asked to continue a file and sent no byte of it may never do so: it knows no ranges (RFC 9110,
    section 14.2), or the file has changed. In both cases the file is fetched from its beginning.
    """
    resumed = before > 0
    if outcome.code == DONE:  # complete and wrong; if it was resumed, its beginning may be from an older version
        return Verdict(drop=True, again=resumed)
    if outcome.too_large:
        return Verdict(drop=True, again=False)
    if resumed and outcome.reached and now <= before:
        return Verdict(drop=True, again=True)
    return Verdict(drop=False, again=not 400 <= outcome.status < 500 or outcome.status in TEMPORARY)


def config(digest: str, url: str, target: Path, limit: int, more: Mapping[str, str]) -> str:
    """Curl's configuration for one file of at most `limit` further bytes; `more` are further options."""
    options = {
        "url": url,
        "output": str(target),
        "proto": "=http,https,ftp",
        "write-out": f"%{{exitcode}} {digest} %{{http_code}} %{{time_pretransfer}} %{{errormsg}}\n",
        "connect-timeout": "15",
        "speed-limit": "1",
        "speed-time": "60",
        "max-filesize": str(max(1, limit)),  # 0 would be no limit
        **more,
    }
    if target.exists():
        options["continue-at"] = "-"
    lines = [f"{name} = {_quoted(value)}" for name, value in options.items()]
    return "\n".join([*lines, "fail", "location", "globoff", ""])


def joined(configs: Iterable[str]) -> str:
    """One configuration for several files."""
    return "next\n".join(configs)


def outcome(line: str) -> tuple[str, Outcome] | None:
    """The digest and the outcome that a line of curl's output is about; None for anything else that it printed."""
    match = _LINE.fullmatch(line.rstrip("\n"))
    if match is None:
        return None
    code, digest, status, seconds, message = match.groups()
    return digest, Outcome(int(code), int(status), float(seconds) > 0, message)


def _quoted(text: str) -> str:
    """A value in curl's configuration syntax, curl(1)."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
