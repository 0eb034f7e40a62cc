"""The repositories' package lists: shared, revalidated and verified by every stage that uses them."""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

from stagelib import removal
from stagelib.apt import config
from stagelib.apt.config import Apt
from stagelib.apt.options import Options
from stagelib.errors import StageError
from stagelib.packages import download_cache

# Patterns in apt's error messages, and hints for the user. The first match wins.
HINTS = (
    (r"EXPKEYSIG|KEYEXPIRED|REVKEYSIG|expired key", "the repository's key has expired or was revoked: use a valid one"),
    (r"BADSIG|invalid signature|NODATA|Clearsigned", "the mirror's index is damaged or forged: try another mirror"),
    (r"NO_PUBKEY|not signed|Missing key|not available", "add the key that signs this repository to its `keys`"),
    (r"not valid yet|expired", "the mirror or the clock is wrong; for a snapshot set check_valid_until: false"),
    (r"does not have a Release file|404 +Not Found", "check the repository's url and suites"),
    (r"have the component|support arch|expected entry", "check the repository's components and the architecture"),
    (r"resolv|connect|timed out|unreachable|refused", "check the repository's url and the network"),
    (r"No space left", "free some disk space"),
)  # fmt: skip


def directory(downloads: str, options: Options) -> str:
    """The shared directory for the lists of exactly these repositories."""
    what = json.dumps([options.architecture, [asdict(one) for one in options.repositories]], sort_keys=True)
    return f"{downloads}/apt-lists/{hashlib.sha256(what.encode()).hexdigest()}"


@contextmanager
def current(apt: Apt) -> Iterator[Apt]:
    """Update and verify the shared lists, and give an apt that reads a snapshot of them.

    The lists are locked only during the update: the snapshot is a directory of hard links, and apt replaces files by
    renaming. Raises StageError as update() does.
    """
    os.makedirs(apt.lists, exist_ok=True)
    with download_cache.scratch_directory(os.path.dirname(apt.lists)) as snapshot:
        with open(f"{apt.lists}.lock", "a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            update(apt)
            for entry in os.scandir(apt.lists):
                if entry.is_file() and entry.name != "lock":
                    os.link(entry.path, f"{snapshot}/{entry.name}")
        yield config.with_lists(apt, snapshot)


def update(apt: Apt) -> None:
    """Update the lists and verify all of their content; call with the lock held.

    apt asks the mirror with If-Modified-Since and checks the signature, but trusts index files on disk, so these are
    compared with the signed Release file here, and downloaded again when they differ.
    Raises StageError with apt's explanation.
    """
    _update(apt)
    if damaged := _damaged(apt.lists):
        print(f"damaged indexes, downloading them again: {', '.join(damaged)}", flush=True)
        removal.remove_tree(apt.lists)
        os.makedirs(f"{apt.lists}/partial")
        _update(apt)
        if damaged := _damaged(apt.lists):
            raise StageError(f"indexes do not match the signed Release file: {', '.join(damaged)}", "try again later")


def _update(apt: Apt) -> None:
    done = apt.run(["apt-get", "update", "-q", "-o", "pkgCacheFile::Generate=false"])
    print(done.stdout, end="", flush=True)
    if done.returncode == 0:
        return
    errors = re.findall(r"^(?:E: |W: (?=GPG error|OpenPGP signature))(.*)$", done.stderr, re.MULTILINE)
    reported = [line for line in dict.fromkeys(errors) if "Some index files failed to download" not in line]
    hint = next((hint for pattern, hint in HINTS if re.search(pattern, done.stderr)), "")
    print(done.stderr, end="", flush=True)
    raise StageError("cannot use the repositories: " + "; ".join(reported or ["apt-get update failed"]), hint)


def _damaged(lists: str) -> list[str]:
    """The index files whose sha256 differs from that in their repository's InRelease (or Release)."""
    bad = []
    releases = [name for name in sorted(os.listdir(lists)) if re.search(r"_(InRelease|Release)$", name)]
    known: dict[str, str] = {}
    for name in releases:
        prefix = name[: name.rindex("_") + 1]
        with open(f"{lists}/{name}", encoding="utf-8") as file:
            known |= {prefix + path.replace("/", "_"): digest for path, digest in release_hashes(file.read()).items()}
    for name in sorted(os.listdir(lists)):
        if re.search(r"_Packages(\.\w+)?$", name) and download_cache.sha256(f"{lists}/{name}") != known.get(name):
            bad.append(name)
    return bad


def release_hashes(text: str) -> dict[str, str]:
    """The paths and digests of a Release file's SHA256 section."""
    section = re.search(r"^SHA256:\n((?: .*\n?)+)", text, re.MULTILINE)
    rows = (line.split() for line in section.group(1).splitlines()) if section else ()
    return {row[2]: row[0] for row in rows if len(row) == 3}
