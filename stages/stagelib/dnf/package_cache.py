"""dnf's own cache directory for one build, filled from the downloads that builds share, which an index has for each
repository: the names of its files in dnf's cache, and their digests.

So builds need no locks between them, and dnf's locks (by process id, which is meaningless between sandboxes) stay
private. Packages are symbolic links to the shared files, metadata are copies; both are verified before.
"""

import glob
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stagelib.dnf.options import Repository
from stagelib.dnf.sandbox import Visible
from stagelib.packages import download_cache
from stagelib.packages.download_cache import Downloads

PACKAGES = "packages"
REPOMD = "repodata/repomd.xml"
# dnf 4 also has files named after the repository next to its directory: REPO.solv, REPO-filenames.solvx.
SIDE_FILES = "beside"
DIGEST = re.compile(r"[0-9a-f]{64}")
MAX_NAME = 1000  # characters of a file's path
MAX_TAG = 50  # characters that follow a repository's name


@dataclass(frozen=True)
class PackageCache:
    """`downloads` is shared between builds; `cache` is this build's dnf cache, on the file system of new downloads."""

    downloads: Downloads
    cache: str
    _copies: dict[tuple[str, int, int], str] = field(default_factory=dict)  # path, inode and change time: digest

    def restore(self, repositories: Iterable[Repository], variant: str) -> frozenset[str]:
        """Put the files of earlier builds of these repositories into dnf's cache; call before dnf runs.

        variant: the dnf that wrote the metadata. Returns the ids of the repositories whose metadata are intact and have
        the checksum in the options. What is damaged is left out.
        """
        return frozenset(one.id for one in repositories if self._restore(one, variant))

    def save(self, repositories: Iterable[Repository], variant: str) -> None:
        """Save what dnf has downloaded; call before anything else can write into dnf's cache."""
        for one in repositories:
            if found := self._files(one):
                tag, files = found
                old = self._read(one, variant)[1]
                kept = {name: digest for name, digest in old.items() if self._is_package(name)}
                kept = {**kept, **{name: self._store(path) for name, path in files.items()}}
                index = {"url": one.url, "tag": tag, "files": dict(sorted(kept.items()))}
                self.downloads.save_index(self._index(one, variant), index)

    def forget_packages(self) -> bool:
        """Remove the packages of earlier builds from dnf's cache; returns whether there were any.

        dnf cannot replace one by a package of the same name that its repository has now.
        """
        links = [path for one in self.directories() for path in _links(f"{one}/{PACKAGES}")]
        for path in links:
            os.unlink(path)
        return bool(links)

    def repomd(self, one: Repository) -> str | None:
        """The sha256 of the repository's repomd.xml in dnf's cache; None when dnf has not downloaded it."""
        found = self._files(one)
        return download_cache.sha256(found[1][REPOMD]) if found and REPOMD in found[1] else None

    def directories(self) -> list[str]:
        """The repositories' directories in the cache."""
        return sorted(entry.path for entry in os.scandir(self.cache) if entry.is_dir(follow_symlinks=False))

    def packages(self) -> list[str]:
        """The packages in the cache, which may be more than this build installs."""
        return sorted(path for one in self.directories() for path in glob.glob(f"{glob.escape(one)}/{PACKAGES}/*.rpm"))

    def visible_for_download(self, more: Sequence[str] = ()) -> Visible:
        """The mounts for a dnf that downloads: it can write to its cache, but not to what builds share, or `more`."""
        return Visible((self.cache,), (*self.downloads.directories, *more))

    def visible(self, more: Sequence[str] = ()) -> Visible:
        """The mounts for a dnf that installs: it can write to its cache, but not to what was downloaded, or `more`."""
        downloaded = [path for one in self.directories() for path in (f"{one}/{PACKAGES}", f"{one}/repodata")]
        return Visible((self.cache,), (*filter(os.path.isdir, downloaded), *self.downloads.directories, *more))

    def _restore(self, one: Repository, variant: str) -> bool:
        tag, kept = self._read(one, variant)
        found = {name: path for name, digest in kept.items() if (path := self.downloads.find_verified(digest))}
        metadata = {name: path for name, path in found.items() if not self._is_package(name)}
        if len(metadata) < sum(not self._is_package(name) for name in kept):
            print(f"the metadata of {one.url} in the cache are damaged, downloading them again", flush=True)
            metadata = {}
        if one.checksum and kept.get(REPOMD) != one.checksum:
            metadata = {}
        for name, path in found.items():
            target = self._place(one, tag, name)
            if self._is_package(name):
                os.makedirs(os.path.dirname(target), exist_ok=True)
                os.symlink(path, target)
            elif name in metadata:
                download_cache.copy(path, target, os.stat(path).st_mtime_ns)
                self._copies[_identity(target)] = kept[name]
        return bool(one.checksum and metadata)

    def _files(self, one: Repository) -> tuple[str, dict[str, str]] | None:
        """The tag in the name of the repository's directory in the cache, and its files: name in the index to path.

        Files that are links to those of earlier builds are left out.
        """
        for directory in self.directories():
            name, _, tag = os.path.basename(directory).rpartition("-")
            if name != one.id:
                continue
            found = {}
            for where, _, files in os.walk(directory):
                for file in files:
                    path = os.path.join(where, file)
                    if not os.path.islink(path):
                        found[os.path.relpath(path, directory)] = path
            for entry in os.scandir(self.cache):
                if entry.is_file(follow_symlinks=False) and entry.name.startswith((f"{one.id}.", f"{one.id}-")):
                    found[f"{SIDE_FILES}/{entry.name.removeprefix(one.id)}"] = entry.path
            return tag, found
        return None

    def _place(self, one: Repository, tag: str, name: str) -> str:
        if name.startswith(f"{SIDE_FILES}/"):
            return f"{self.cache}/{one.id}{name.removeprefix(f'{SIDE_FILES}/')}"
        return f"{self.cache}/{one.id}-{tag}/{name}"

    @staticmethod
    def _is_package(name: str) -> bool:
        return name.startswith(f"{PACKAGES}/")

    def _store(self, path: str) -> str:
        """Save a file, unless it is an unchanged copy of one that is saved already. Returns its sha256."""
        if digest := self._copies.get(_identity(path)):
            return digest
        digest = download_cache.sha256(path)
        self.downloads.add(path, digest)
        return digest

    def _index(self, one: Repository, variant: str) -> str:
        return f"dnf {json.dumps([variant, one.kind, one.url, sorted(one.ssl.items())])}"

    def _read(self, one: Repository, variant: str) -> tuple[str, dict[str, str]]:
        """The tag of the directory's name, and the files: name to digest. A malformed index is treated as empty."""
        match self.downloads.read_index(self._index(one, variant)):
            case {"tag": str(tag), "files": dict(files)} if _is_sound(tag, files):
                return tag, files
        return "", {}


def _is_sound(tag: str, files: Mapping[str, object]) -> bool:
    """Whether an index, which may be damaged, has names that lead nowhere else, and digests."""
    if len(tag) > MAX_TAG or not download_cache.is_file_name(f"-{tag}"):
        return False
    for name, digest in files.items():
        parts = name.split("/")
        directories = {"/".join(parts[:end]) for end in range(1, len(parts))}
        if len(name) > MAX_NAME or not all(map(download_cache.is_file_name, parts)) or directories & files.keys():
            return False
        if parts[0] == SIDE_FILES and not (len(parts) == 2 and _is_side_file(parts[1], tag)):
            return False
        if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
            return False
    return True


def _is_side_file(rest: str, tag: str) -> bool:
    return rest.startswith((".", "-")) and rest != f"-{tag}" and len(rest) <= MAX_TAG


def _links(directory: str) -> list[str]:
    if not os.path.isdir(directory):
        return []
    return [entry.path for entry in os.scandir(directory) if entry.is_symlink()]


def _identity(path: str) -> tuple[str, int, int]:
    info = os.stat(path)
    return path, info.st_ino, info.st_ctime_ns
