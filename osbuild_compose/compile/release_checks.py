"""What a release cannot do for a blueprint, as far as its data tells; the rest its template refuses."""

from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.compile import located_errors
from osbuild_compose.disk import capacity
from osbuild_compose.distro.model import Release
from osbuild_compose.distro.repository import Repository, RpmRepository
from osbuild_compose.errors import InputError


def problems(blueprint: Blueprint, release: Release, has_repository: bool) -> list[InputError]:
    """All of it. has_repository: whether there is any repository to build from."""
    found: list[InputError] = []
    if blueprint.arch not in release.architectures:
        known = ", ".join(sorted(release.architectures))
        what = f"{release.name} cannot be built for {blueprint.arch}, only for {known}"
        found.append(located_errors.at_value(blueprint, ("arch",), what, expected=f"one of: {known}"))
    wrong_kind = [item for item in _own(blueprint) if not _is_of_kind(item[1], release)]
    for number, _ in wrong_kind:
        kind, keys = ("RPM", "id and baseurl") if release.is_rpm else ("Debian", "url and suites")
        what = f"{release.name} takes packages from repositories of the {kind} kind"
        hint = f"such a repository has {keys}"
        found.append(located_errors.at_value(blueprint, ("repositories", number), what, hint))
    if not has_repository and not wrong_kind:
        what = "no repository to build from: all of `repositories` are for the image only"
        hint = "add `default`, which stands for the distribution's own"
        found.append(located_errors.at_key(blueprint, ("repositories",), what, hint))
    if blueprint.arch in release.architectures:
        found += capacity.problems(blueprint, release)
    return found


def usable(blueprint: Blueprint, release: Release) -> list[Repository]:
    """The blueprint's own repositories, but for those that are not of the release's kind."""
    return [item for _, item in _own(blueprint) if _is_of_kind(item, release)]


def _own(blueprint: Blueprint) -> list[tuple[int, Repository]]:
    """The blueprint's own repositories with their places in its list, in which `default` is an item, too.

    The blueprint of a build root may have none, and yet the document of an image with some.
    """
    own = blueprint.repositories.own
    if blueprint.document is None or not own:
        return list(enumerate(own))
    items = blueprint.document.data.get("repositories", ())
    numbers = [index for index, item in enumerate(items) if not isinstance(item, str)]
    return list(zip(numbers, own, strict=True))


def _is_of_kind(repository: Repository, release: Release) -> bool:
    return isinstance(repository, RpmRepository) == release.is_rpm
