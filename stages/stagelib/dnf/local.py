"""Repositories and packages that are files of the manifest's sources: laid out where dnf looks for them."""

import glob
import hashlib
import json
from dataclasses import replace

from stagelib.dnf.options import Options, Repository
from stagelib.packages import sources

PLACE = "/tmp/compose-repositories"  # noqa: S108 - the sandbox's own; the address is a part of what the cache knows
ARCHIVES = f"{PLACE}/archives"


def lay_out(options: Options) -> Options:
    """The options, with the addresses of repositories given as files, and with the paths of the package files."""
    repositories = tuple(_laid_out(one) if one.files else one for one in options.repositories)
    named = {f"{number}.rpm": checksum for number, checksum in enumerate(options.archives)}
    sources.lay_out(ARCHIVES, named)
    paths = tuple(f"{ARCHIVES}/{name}" for name in named)
    return replace(options, repositories=repositories, packages=(*options.packages, *paths))


def _laid_out(repository: Repository) -> Repository:
    digest = hashlib.sha256(json.dumps(dict(repository.files), sort_keys=True).encode()).hexdigest()
    root = f"{PLACE}/{digest[:16]}"
    sources.lay_out(root, repository.files)
    return replace(repository, url=f"file://{root}", files={})


def visible(options: Options) -> tuple[str, ...]:
    """The directories that dnf has to see for these."""
    is_used = options.archives or any(one.url.startswith(f"file://{PLACE}/") for one in options.repositories)
    return (PLACE, sources.SOURCES) if is_used else ()


def packages() -> list[str]:
    """The paths of all package files that are laid out, more than are installed."""
    return sorted(glob.glob(f"{PLACE}/**/*.rpm", recursive=True))
