"""Packages in dnf's notation: names, patterns, name-version-release.architecture, provides, files, @groups."""

import re

_LIKE = {"x86_64": {"i386", "i486", "i586", "i686", "x86_64"}, "aarch64": {"aarch64"}}  # what a machine can run
_OTHERS = {"armv7hl", "ppc64le", "riscv64", "s390x"}
_ARCHITECTURES = {"noarch", *_OTHERS, *(name for names in _LIKE.values() for name in names)}
_AS_IN_DEBIAN = {"amd64": "x86_64", "i386": "i686", "arm64": "aarch64", "all": "noarch"}
_COMPARED = re.compile(r"(?P<name>[^\s=<>@:]+)(?P<sign>>=|<=|==|=|>|<)(?P<version>[^\s=<>]+)")


def name_of(wanted: str) -> str:
    """The name in a package's notation, as far as that can be told: a version looks like a part of a name."""
    name = wanted.split(" ", 1)[0]
    before, _, suffix = name.rpartition(".")
    return before if before and suffix in _ARCHITECTURES else name


def problem(wanted: str, architecture: str) -> tuple[str, str] | None:
    """Why dnf does not take this for a package of the architecture, and what to do about it; None if it does."""
    if match := _COMPARED.fullmatch(wanted):
        name, sign, version = match.groups()
        if sign in ("=", "=="):
            return f"{wanted} is not dnf's notation of a version", f"write {name}-{version}, which may be a pattern"
        return f"{wanted} is not dnf's notation of a version", f"write {name} {sign} {version}, with spaces"
    name, _, other = wanted.partition(":")
    if other in _AS_IN_DEBIAN and not name.startswith("@"):
        return f"{wanted} is not dnf's notation of an architecture", f"write {name}.{_AS_IN_DEBIAN[other]}, or {name}"
    suffix = wanted.rpartition(".")[2]
    if suffix in _ARCHITECTURES - {"noarch"} - _LIKE.get(architecture, {architecture}):
        return f"{wanted} is of another architecture than {architecture}", f"write {wanted.removesuffix(f'.{suffix}')}"
    return None
