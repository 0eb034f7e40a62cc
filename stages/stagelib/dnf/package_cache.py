"""A cache of dnf's downloads that builds share: files by digest in <downloads>/sha256/<hex>, and an index for each
repository with the names of its files in dnf's own cache.

Each build has its own dnf cache directory, filled with hard links, so that builds need no locks between them, and
dnf's locks (by process id, which is meaningless between sandboxes) stay private. Metadata are verified here whenever
they are restored, packages by dnf before it uses them.
"""

import glob
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stagelib import removal
from stagelib.dnf.options import Repository
from stagelib.dnf.sandbox import Visible
from stagelib.packages import download_cache

PACKAGES = "packages"
REPOMD = "repodata/repomd.xml"
# dnf 4 also has files named after the repository next to its directory: REPO.solv, REPO-filenames.solvx.
SIDE_FILES = "beside"


@dataclass(frozen=True)
class PackageCache:
    """`downloads` is shared between builds; `cache` is this build's dnf cache, on the same file system."""

    downloads: str
    cache: str

    def restore(self, repositories: Iterable[Repository], variant: str) -> frozenset[str]:
        """Link the cached files of these repositories into dnf's cache; call before dnf runs.

        variant: the dnf that wrote the metadata. Returns the ids of the repositories whose metadata are intact and have
        the checksum in the options. Damaged metadata are skipped.
        """
        return frozenset(one.id for one in repositories if self._restore(one, variant))

    def save(self, repositories: Iterable[Repository], variant: str) -> None:
        """Save what dnf has downloaded; call before anything else can write into dnf's cache."""
        for one in repositories:
            if found := self._files(one):
                tag, files = found
                old = {name: digest for name, digest in self._read(one, variant)[1].items() if self._is_package(name)}
                kept = {**old, **{name: self._store(path) for name, path in files.items()}}
                for name, digest in old.items():
                    if digest != kept[name]:
                        self._drop_overwritten(digest, files[name])
                self._write(one, variant, tag, kept)

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

    def visible(self) -> Visible:
        """The mounts for a dnf that installs: it can write to its cache, but not to what was downloaded."""
        downloaded = [path for one in self.directories() for path in (f"{one}/{PACKAGES}", f"{one}/repodata")]
        return Visible((self.cache,), tuple(path for path in downloaded if os.path.isdir(path)))

    def _restore(self, one: Repository, variant: str) -> bool:
        tag, kept = self._read(one, variant)
        metadata = {name: digest for name, digest in kept.items() if not self._is_package(name)}
        if any(not self._is_whole(digest) for digest in metadata.values()):
            print(f"the metadata of {one.url} in the cache are damaged, downloading them again", flush=True)
            metadata = {}
        if one.checksum and metadata.get(REPOMD) != one.checksum:
            metadata = {}
        for name, digest in {**{n: d for n, d in kept.items() if self._is_package(n)}, **metadata}.items():
            if os.path.exists(self._blob(digest)):
                target = self._place(one, tag, name)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                os.link(self._blob(digest), target)
        return bool(one.checksum and metadata)

    def _files(self, one: Repository) -> tuple[str, dict[str, str]] | None:
        """The tag in the name of the repository's directory in the cache, and its files: name in the index to path."""
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
                if entry.is_file() and entry.name.startswith((f"{one.id}.", f"{one.id}-")):
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

    def _blob(self, digest: str) -> str:
        return f"{self.downloads}/sha256/{digest}"

    def _is_whole(self, digest: str) -> bool:
        try:
            return download_cache.sha256(self._blob(digest)) == digest
        except FileNotFoundError:
            return False

    def _store(self, path: str) -> str:
        """Save a file unless it is saved already. Returns its sha256."""
        digest = download_cache.sha256(path)
        blob = self._blob(digest)
        if not os.path.exists(blob):
            os.makedirs(os.path.dirname(blob), exist_ok=True)
            with removal.temporary_directory(parent=self.cache) as new:
                os.link(path, f"{new}/blob")
                os.chmod(f"{new}/blob", 0o644)
                os.rename(f"{new}/blob", blob)
        return digest

    def _drop_overwritten(self, digest: str, path: str) -> None:
        """Drop a file that dnf has overwritten, through the link in its cache, with a package of the same name."""
        blob = self._blob(digest)
        if os.path.exists(blob) and os.path.samefile(blob, path):
            os.unlink(blob)

    def _index(self, one: Repository, variant: str) -> str:
        what = json.dumps([variant, one.kind, one.url, sorted(one.ssl.items())])
        return f"{self.downloads}/dnf/{hashlib.sha256(what.encode()).hexdigest()}.json"

    def _read(self, one: Repository, variant: str) -> tuple[str, Mapping[str, str]]:
        """The tag of the directory's name, and the files: name to digest. A malformed index is treated as empty."""
        try:
            with open(self._index(one, variant), encoding="utf-8") as file:
                index = json.load(file)
            return index["tag"], dict(index["files"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return "", {}

    def _write(self, one: Repository, variant: str, tag: str, files: Mapping[str, str]) -> None:
        path = self._index(one, variant)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        there = {name: digest for name, digest in sorted(files.items()) if os.path.exists(self._blob(digest))}
        with removal.temporary_directory(parent=self.cache) as new:
            with open(f"{new}/index", "w", encoding="utf-8") as file:
                json.dump({"url": one.url, "tag": tag, "files": there}, file, indent=1)
            os.rename(f"{new}/index", path)
