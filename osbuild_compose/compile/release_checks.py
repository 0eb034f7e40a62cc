"""Checks of a blueprint against its release's data; the release's template refuses what else it does not support."""

from collections.abc import Iterator

from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.compile import own_repositories
from osbuild_compose.distro.model import Release
from osbuild_compose.problem import Problem


def problems(blueprint: Blueprint, release: Release, has_repository: bool) -> Iterator[Problem]:
    """Keys that the release cannot honour. has_repository: whether there is any repository to build from."""
    if blueprint.arch not in release.architectures:
        known = ", ".join(sorted(release.architectures))
        brief = f"{release.name} cannot be built for {blueprint.arch}, only for {known}"
        yield Problem(("arch",), brief, expected=f"one of: {known}")
    family = release.family
    other_form = [number for number, item in own_repositories.numbered(blueprint) if not isinstance(item, family.form)]
    for number in other_form:
        brief = f"{release.name} takes packages from {family.name} repositories"
        yield Problem(("repositories", number), brief, f"such a repository has {family.form_keys}")
    if not has_repository and not other_form:
        brief = "no repository to build from: all of `repositories` are for the image only"
        yield Problem(("repositories",), brief, "add `default`, the distribution's own repositories", at_key=True)
