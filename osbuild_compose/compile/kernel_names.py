"""Which packages are kernels, by their names."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

PATTERNS = "kernel_packages"
"""The variable of a distro.yaml with the names of kernel packages: shell patterns, those after a "!" being none."""


def named_in(packages: Iterable[str], patterns: Sequence[str]) -> tuple[str, ...]:
    """Those of the packages, which may have a version (`=`) or a suite (`/`), that are kernels by the patterns."""
    return tuple(
        package for package in packages if _is_kernel(package.split("=")[0].split("/")[0].split(":")[0], patterns)
    )


def _is_kernel(name: str, patterns: Sequence[str]) -> bool:
    are = [pattern for pattern in patterns if not pattern.startswith("!")]
    are_not = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    return any(fnmatchcase(name, one) for one in are) and not any(fnmatchcase(name, one) for one in are_not)
