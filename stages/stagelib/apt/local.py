"""Repositories and archives that are files of the manifest's sources: laid out where apt looks for them."""

import shutil
from collections.abc import Sequence
from dataclasses import replace

from stagelib.apt.options import Options, Repository
from stagelib.packages import sources
from stagelib.packages.download_cache import Downloads


def lay_out(options: Options, place: str) -> Options:
    """The options, with the addresses of repositories given as files, which are made below the directory `place`."""
    repositories = tuple(
        _laid_out(one, f"{place}/{number}") if one.files else one for number, one in enumerate(options.repositories)
    )
    return replace(options, repositories=repositories)


def _laid_out(repository: Repository, root: str) -> Repository:
    sources.lay_out(root, repository.files)
    return replace(repository, url=f"file:{root}/", files={})


def archives(checksums: Sequence[str], place: str, downloads: Downloads) -> dict[str, str]:
    """Put package archives among the downloads, and into the directory `place` beside them under names that apt takes.

    Returns their digests by their paths there.
    """
    found = {}
    for number, checksum in enumerate(checksums):
        # A copy: apt follows a link to a name that it rejects.
        path = shutil.copyfile(sources.path_of(checksum), f"{place}/{number}.deb")
        digest = checksum.partition(":")[2]
        downloads.add(path, digest)
        found[path] = digest
    return found
