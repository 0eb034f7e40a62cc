"""What a release cannot do for a blueprint, as far as its data tells; the rest its template refuses."""

from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.compile import located_errors, own_repositories
from osbuild_compose.distro.model import Release
from osbuild_compose.errors import InputError


def problems(blueprint: Blueprint, release: Release, has_repository: bool) -> list[InputError]:
    """Everything that the release cannot do. has_repository: whether there is any repository to build from."""
    found: list[InputError] = []
    if blueprint.arch not in release.architectures:
        known = ", ".join(sorted(release.architectures))
        what = f"{release.name} cannot be built for {blueprint.arch}, only for {known}"
        found.append(located_errors.at_value(blueprint, ("arch",), what, expected=f"one of: {known}"))
    family = release.family
    other_form = [number for number, item in own_repositories.numbered(blueprint) if not isinstance(item, family.form)]
    for number in other_form:
        what = f"{release.name} takes packages from repositories of the {family.name} kind"
        hint = f"such a repository has {family.form_keys}"
        found.append(located_errors.at_value(blueprint, ("repositories", number), what, hint))
    if not has_repository and not other_form:
        what = "no repository to build from: all of `repositories` are for the image only"
        hint = "add `default`, which stands for the distribution's own"
        found.append(located_errors.at_key(blueprint, ("repositories",), what, hint))
    return found
