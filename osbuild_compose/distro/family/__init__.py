"""Package families: how a distribution's packages are published, signed and installed, behind one protocol."""

from collections.abc import Mapping, Sequence
from typing import Any

from osbuild_compose.distro.family.deb import DebFamily
from osbuild_compose.distro.family.named import NamedFamily, RpmFamily
from osbuild_compose.distro.family.protocol import Family
from osbuild_compose.distro.repository import DebRepository, Repository

BUILT_IN: Mapping[str, Family] = {"deb": DebFamily(), "rpm": RpmFamily()}


def family_of(family: str | Mapping[str, Any] | None, repositories: Sequence[Repository]) -> Family:
    """The family that a distro.yaml names or describes, or else the built-in one with repositories of that form."""
    if isinstance(family, str):
        return BUILT_IN[family]
    if family is not None:
        return NamedFamily(family["name"], family["stage"], family.get("packages", {}), family.get("signed", True))
    return BUILT_IN["deb" if repositories and isinstance(repositories[0], DebRepository) else "rpm"]
