"""Every difference between two Debian trees, but for those that have a reason."""

import fnmatch
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from stagelib.packages.secrets import SECRETS

from tests.integration.apt_sandbox import Workplace

# Paths that may differ in any way, with wildcards, and why.
ALLOWED = {
    "/etc/apt/apt.conf.d/99mmdebstrap": "mmdebstrap writes its options there",
    "/etc/apt/sources.list": "installed sources are the business of another stage",
    "/etc/apt/sources.list.d/*": "likewise",
    "/etc/fstab": "mmdebstrap writes an empty one",
    "/etc/aliases.db": "Berkeley DB writes the file's inode and random numbers into it",
    "/usr/share/info/dir.old": "the list before the last run of the trigger, which runs more often where apt runs dpkg",
    "/var/cache/fontconfig/*": "fontconfig throws those away whose directory has a later time than SOURCE_DATE_EPOCH",
    "/var/log/fontconfig.log": "says so",
    "/run/lock/*": "made at every boot by tmpfiles.d: what scripts put into /run is gone with it",
    "/etc/resolv.conf": "mmdebstrap makes it; ours is there only meanwhile",
    "/var/lib/dpkg/arch": "written by mmdebstrap; dpkg makes it when a second architecture is added",
    "/etc/machine-id": "mmdebstrap makes it anew with mode 0644; systemd's own is 0444",
    "/var/lib/apt/lists/partial": "belongs to _apt where apt runs inside of the tree; here it is as its package has it",
    "/var/cache/apt/archives/partial": "likewise",
}
# What only mmdebstrap leaves: locks, backups, logs, and what every machine makes for itself.
LEFT_BEHIND = (
    *(f"/etc/{name}-" for name in ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")),
    *(pattern for secret in SECRETS for pattern in secret.files),
    "/dev/*", "/etc/.pwd.lock", "/var/cache/apt/archives/lock",
    "/var/lib/apt/lists/lock", "/var/lib/dpkg/lock", "/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/triggers/Lock",
    "/var/lib/dpkg/*-old", "/var/cache/debconf/*-old",
)  # fmt: skip
ACCOUNTS = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow")
NUMBER = re.compile(r"^([1-9]\d\d|\d{5})$")


def unexplained(place: Workplace, theirs: Path, ours: Path, start: int) -> list[str]:
    """A line for every entry that differs in type, mode, owner, content, target, attributes or time without a reason.

    start: times later than this (seconds since 1970) are those of the installation.
    """
    trees = (theirs, ours)
    expected, got = (_named(tree, place.describe(tree, start)) for tree in trees)
    found = []
    for path in sorted(expected.keys() | got.keys()):
        a, b = expected.get(path), got.get(path)
        if a == b or _is(path, ALLOWED) or (b is None and _is(path, LEFT_BEHIND)):
            continue
        if b is None and a and _is(f"{path.rpartition('/')[0]}/{a[3]}", LEFT_BEHIND):
            continue  # a link to what is removed
        if a and b:
            if str(a[0]).startswith("4"):  # directories' times are ours on purpose
                a, b = a[:-1], b[:-1]
            if (normal := _normal(path)) and a[0].startswith("10"):
                texts = [normal((tree / path[1:]).read_text()) for tree in trees]
                a, b = ([*one[:3], text, one[4]] for one, text in zip((a, b), texts, strict=True))
        if a != b:
            found.append(f"{path}: {a} but {b}")
    return found


def _is(path: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _named(tree: Path, entries: dict[str, list[object]]) -> dict[str, list[object]]:
    """The entries with owners by their names: packages get the next free id, in the order of their configuration."""
    names = []
    for database in ("passwd", "group"):
        lines = (line.split(":") for line in (tree / "etc" / database).read_text().splitlines())
        names.append({int(line[2]): line[0] for line in lines})
    return {
        path: [mode, names[0].get(uid, uid), names[1].get(gid, gid), *rest]  # type: ignore[call-overload]
        for path, (mode, uid, gid, *rest) in entries.items()
    }


def _normal(path: str) -> Callable[[str], object] | None:
    """How to compare the contents of a file whose order is that of configuration; None for byte by byte."""
    if path in ACCOUNTS:
        return _accounts
    if path in ("/etc/shells", "/var/lib/dpkg/triggers/File", "/var/lib/dpkg/statoverride"):
        return lambda text: sorted(text.splitlines())
    if path == "/var/lib/dpkg/diversions":
        return lambda text: sorted(zip(*[iter(text.splitlines())] * 3, strict=True))
    if path == "/var/lib/apt/extended_states":
        return lambda text: sorted(text.strip().split("\n\n"))
    return None


def _accounts(text: str) -> list[list[str]]:
    """The lines of passwd and the like, without numbers that were the next free ones and days of change."""
    lines = [line.split(":") for line in text.splitlines()]
    return sorted([NUMBER.sub("N", word) if 0 < n < 5 else word for n, word in enumerate(line)] for line in lines)
