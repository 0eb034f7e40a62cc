"""The repositories' package lists: kept between builds, revalidated and verified by every stage that uses them."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict

from stagelib import removal
from stagelib.apt.config import Apt
from stagelib.apt.options import Options, Preference
from stagelib.errors import StageError
from stagelib.packages import download_cache
from stagelib.packages.download_cache import Downloads

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


NAME = re.compile(r"[^/]*_[^/]*")  # of a list: with the repository's address
DIGEST = re.compile(r"[0-9a-f]{64}")


def index_name(options: Options) -> str:
    """The name of the index of the lists of exactly these repositories."""
    what = [options.architecture, [asdict(one) for one in options.repositories]]
    return f"apt-lists {json.dumps(what, sort_keys=True)}"


def refresh(apt: Apt, downloads: Downloads, options: Options) -> None:
    """Fill apt's empty directory of lists from earlier builds, update and verify it, and keep it for later ones.

    The directory is on the file system of new downloads. Raises StageError as update() does.
    """
    kept = _restore(apt.lists, downloads, options)
    update(apt)
    index = {}
    for entry in sorted(os.scandir(apt.lists), key=lambda one: one.name):
        if not entry.is_file(follow_symlinks=False) or entry.name == "lock":
            continue
        digest = kept.get((entry.name, entry.stat().st_ino, entry.stat().st_ctime_ns))
        if digest is None:
            digest = download_cache.sha256(entry.path)
            downloads.add(entry.path, digest)
        index[entry.name] = [digest, entry.stat().st_mtime_ns]
    downloads.save_index(index_name(options), index)


def _restore(lists: str, downloads: Downloads, options: Options) -> dict[tuple[str, int, int], str]:
    """Copy the lists of earlier builds, as far as they are intact, with the times that the mirror is asked about.

    Returns the digests of the copies, by name, inode number and change time.
    """
    found, damaged = {}, []
    for name, about in downloads.read_index(index_name(options)).items():
        match about:
            case [str(digest), int(mtime_ns)] if _is_sound(name, digest, mtime_ns):
                if path := downloads.find_verified(digest):
                    download_cache.copy(path, f"{lists}/{name}", mtime_ns)
                    info = os.stat(f"{lists}/{name}")
                    found[name, info.st_ino, info.st_ctime_ns] = digest
                elif downloads.find(digest):
                    damaged.append(name)
    if damaged:
        print(f"damaged indexes, downloading them again: {', '.join(damaged)}", flush=True)
    return found


def _is_sound(name: str, digest: str, mtime_ns: int) -> bool:
    """Whether an entry of an index, which may be damaged, is one of a list."""
    is_name = download_cache.is_file_name(name) and bool(NAME.fullmatch(name))
    return is_name and bool(DIGEST.fullmatch(digest)) and 0 <= mtime_ns < 1 << 63


def update(apt: Apt) -> None:
    """Update the lists and verify all of their content.

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


def check_priorities(apt: Apt, preferences: Sequence[Preference]) -> None:
    """Raise StageError for a priority of whole repositories that `apt-cache policy` shows for none: apt ignores it."""
    asked = [one for one in preferences if one.package == "*"]
    if not asked:
        return
    found = {int(match) for match in re.findall(r"^ *(-?\d+) ", apt.run(["apt-cache", "policy"]).stdout, re.MULTILINE)}
    for one in asked:
        if one.priority not in found:
            raise StageError(
                f"no repository is `{one.pin}`, which should have the priority {one.priority}",
                "compare the pin with the fields of the repository's Release file",
            )


def _damaged(lists: str) -> list[str]:
    """The index files whose sha256 differs from that in their repository's InRelease (or Release).

    One without either is of a repository whose signature is not checked: apt takes no other.
    """
    bad = []
    releases = [name for name in sorted(os.listdir(lists)) if re.search(r"_(InRelease|Release)$", name)]
    known: dict[str, str] = {}
    prefixes: list[str] = []
    for name in releases:
        prefix = name[: name.rindex("_") + 1]
        prefixes.append(prefix)
        with open(f"{lists}/{name}", encoding="utf-8") as file:
            hashes = release_hashes(file.read())
        known |= {prefix + path.replace("/", "_"): digest for path, digest in hashes.items()}
    for name in sorted(os.listdir(lists)):
        if not name.startswith(tuple(prefixes)):
            continue
        if re.search(r"_Packages(\.\w+)?$", name) and download_cache.sha256(f"{lists}/{name}") != known.get(name):
            bad.append(name)
    return bad


def release_hashes(text: str) -> dict[str, str]:
    """The paths and digests of a Release file's SHA256 section."""
    section = re.search(r"^SHA256:\n((?: .*\n?)+)", text, re.MULTILINE)
    rows = (line.split() for line in section.group(1).splitlines()) if section else ()
    return {row[2]: row[0] for row in rows if len(row) == 3}
