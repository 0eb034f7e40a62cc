"""Packages in dnf's notation: names, patterns, name-version-release.architecture, provides, files, @groups."""

import re

_LIKE = {"x86_64": {"i386", "i486", "i586", "i686", "x86_64"}, "aarch64": {"aarch64"}}  # what a machine can run
_OTHERS = {"armv7hl", "ppc64le", "riscv64", "s390x"}
_ARCHITECTURES = {"noarch", *_OTHERS, *(name for names in _LIKE.values() for name in names)}
_AS_IN_DEBIAN = {"amd64": "x86_64", "i386": "i686", "arm64": "aarch64", "all": "noarch"}
_COMPARED = re.compile(r"(?P<name>[^\s=<>@:]+)(?P<sign>>=|<=|==|=|>|<)(?P<version>[^\s=<>]+)")

_WITH_SPACES = re.compile(r"[^\s<>=]+ (>=|<=|==|=|>|<) [^\s<>=]+")
_OF_SUITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]*/[A-Za-z0-9][A-Za-z0-9._/-]*")


def name_of(wanted: str) -> str:
    """The name in a package's notation, as far as that can be told: a version looks like a part of a name."""
    name = wanted.split(" ", 1)[0]
    before, _, suffix = name.rpartition(".")
    return before if before and suffix in _ARCHITECTURES else name


def problem(wanted: str, architecture: str) -> tuple[str, str] | None:  # noqa: PLR0911 - one for each kind
    """Why dnf does not take this for a package of the architecture, and what to do about it; None if it does."""
    if match := _COMPARED.fullmatch(wanted):
        name, sign, version = match.groups()
        if sign in ("=", "=="):
            return f"{wanted} is not dnf's notation of a version", f"write {name}-{version}, which may be a pattern"
        return f"{wanted} is not dnf's notation of a version", f"write {name} {sign} {version}, with spaces"
    if wanted.startswith("@"):
        return None
    if re.search(r"[\s<>=]", wanted) and not _WITH_SPACES.fullmatch(wanted):
        if not re.search("[<>=]", wanted):
            return f"{wanted} is not the name of one package", "name each package by itself"
        hint = "write NAME >= VERSION; the sign may be <, <=, =, >= or >"
        return f"{wanted} is not dnf's notation of a version", hint
    if _OF_SUITE.fullmatch(wanted):
        hint = f"write {wanted.partition('/')[0]}; `priority` of `repositories` says which has it"
        return f"{wanted} is apt's notation of a suite, which dnf does not have", hint
    name, _, other = wanted.partition(":")
    if other in _AS_IN_DEBIAN:
        return f"{wanted} is not dnf's notation of an architecture", f"write {name}.{_AS_IN_DEBIAN[other]}, or {name}"
    suffix = wanted.rpartition(".")[2]
    if suffix in _ARCHITECTURES - {"noarch"} - _LIKE.get(architecture, {architecture}):
        return f"{wanted} is of another architecture than {architecture}", f"write {wanted.removesuffix(f'.{suffix}')}"
    return None
