"""Download package archives, which builds share by their digests, and verify them on every use."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote

from stagelib import api
from stagelib.apt.config import Apt
from stagelib.apt.resolve import Archive
from stagelib.errors import StageError
from stagelib.packages import download_cache
from stagelib.packages.download_cache import Downloads

FILE = "file:"
BATCH = 500  # archives per apt-helper: an argument list may have 2 MiB
NO_SPACE = "free some space there, or use another store with --store"
POLL = 0.2  # seconds between two progress reports


@dataclass(frozen=True)
class Downloaded:
    """Verified archives in apt's order, named by their sha256; each is in the first of `directories` that has it."""

    directories: Sequence[str]
    archives: Sequence[Archive]

    def path(self, archive: Archive) -> str:
        """Where an archive is."""
        paths = (f"{directory}/{archive.sha256}" for directory in self.directories)
        return next(filter(os.path.exists, paths))


def fetch(apt: Apt, archives: Sequence[Archive], downloads: Downloads) -> Downloaded:
    """Download the archives that are not there yet, and verify the sha256 of all.

    Raises StageError when an archive cannot be downloaded or differs from the signed index.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        good = list(pool.map(lambda one: _verified(downloads, one), archives))
    absent = [archive for archive, ok in zip(archives, good, strict=True) if not ok]
    here = [archive for archive in absent if archive.uri.startswith(FILE)]
    for archive in here:
        _copy(archive, downloads)
    missing = [archive for archive in absent if archive not in here]
    for start in range(0, len(missing), BATCH):
        _download(apt, missing[start : start + BATCH], downloads)
    total = sum(one.size for one in archives)
    fetched = sum(one.size for one in missing)
    print(f"{len(archives)} packages, {total / 1e6:.1f} MB, of which {fetched / 1e6:.1f} MB downloaded", flush=True)
    return Downloaded(downloads.directories, archives)


def _copy(archive: Archive, downloads: Downloads) -> None:
    """Add an archive of a repository that consists of files."""
    with downloads.scratch() as new:
        try:
            copied = shutil.copyfile(unquote(archive.uri.removeprefix(FILE)), f"{new}/{archive.sha256}")
        except FileNotFoundError:
            raise StageError(f"the repository lacks {archive}, which its index has", "make its index anew") from None
        if download_cache.sha256(copied) != archive.sha256:
            raise StageError(f"{archive} differs from the repository's index", "make its index anew")
        downloads.add(copied, archive.sha256)


def _verified(downloads: Downloads, archive: Archive) -> bool:
    if downloads.find(archive.sha256) is None:
        return False
    good = downloads.find_verified(archive.sha256) is not None
    if not good:
        print(f"{archive} in the cache is damaged, downloading it again", flush=True)
    return good


def _download(apt: Apt, archives: Sequence[Archive], downloads: Downloads) -> None:
    total = sum(one.size for one in archives)
    if (free := shutil.disk_usage(downloads.new).free) < total:
        what = f"{total / 1e6:.0f} MB of packages are to be downloaded, and {free / 1e6:.0f} MB are free"
        raise StageError(f"{what} where downloads are kept", NO_SPACE)
    with downloads.scratch() as new:
        argv = ["/usr/lib/apt/apt-helper", "-q", "download-file"]
        for one in archives:
            argv += [one.uri, f"{new}/{one.sha256}", f"SHA256:{one.sha256}"]
        with tempfile.TemporaryFile("w+") as log:
            helper = subprocess.Popen(argv, env=apt.environment(), stdout=log, stderr=subprocess.STDOUT)
            while helper.poll() is None:
                time.sleep(POLL)
                api.progress(min(total, arrived(new)), total, "bytes", "download")
            log.seek(0)
            output = log.read()
        if helper.returncode != 0:
            print(output, end="", flush=True)
            raise failure(output, len(archives))
        for one in archives:
            if download_cache.sha256(f"{new}/{one.sha256}") != one.sha256:
                raise StageError(f"{one} differs from the signed index", "try again later, or another mirror")
            downloads.add(f"{new}/{one.sha256}", one.sha256)


def arrived(directory: str) -> int:
    """The total size of the directory's files. apt may remove one meanwhile, to start over."""
    size = 0
    for entry in os.scandir(directory):
        with suppress(FileNotFoundError):
            size += entry.stat().st_size
    return size


def failure(output: str, count: int) -> StageError:
    """The error for `count` packages that could not be downloaded, from the output of apt-helper."""
    errors = [line[3:] for line in output.splitlines() if line.startswith("E: ")]
    hint = "the mirror may be changing or out of reach: try again"
    if "Hash Sum mismatch" in output or "unexpected size" in output:
        hint = "the mirror's packages are not those of its signed index: try again later, or another mirror"
    if "No space left" in output:
        return StageError("no space left where downloads are kept", NO_SPACE)
    return StageError(f"cannot download {count} packages: {'; '.join(errors)}", hint)
