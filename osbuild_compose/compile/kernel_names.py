"""Which packages are kernels, by their names."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from osbuild_compose.distro.model import Release

PATTERNS = "kernel_packages"
"""The variable of a distro.yaml with the names of kernel packages: shell patterns, those after a "!" being none."""


def named_in(packages: Iterable[str], release: Release) -> tuple[str, ...]:
    """Those of the packages, in the notation of the release's package manager, that are kernels by its patterns."""
    patterns = release.variables.get(PATTERNS, ())
    return tuple(package for package in packages if _is_kernel(release.family.name_of(package), patterns))


def _is_kernel(name: str, patterns: Sequence[str]) -> bool:
    are = [pattern for pattern in patterns if not pattern.startswith("!")]
    are_not = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    return any(fnmatchcase(name, one) for one in are) and not any(fnmatchcase(name, one) for one in are_not)
