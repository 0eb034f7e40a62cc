"""Checks of a blueprint against its release's data; the release's template refuses what else it does not support."""

from collections.abc import Iterator, Sequence
from typing import Any

from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.blueprint.values.package_file import is_file, package_of
from osbuild_compose.compile import own_repositories
from osbuild_compose.distro.model import Release
from osbuild_compose.distro.repository import Repository, Use
from osbuild_compose.document.node import Trail, path_text
from osbuild_compose.problem import Problem


def problems(
    blueprint: Blueprint, release: Release, to_build: Sequence[Repository], in_image: Sequence[Repository]
) -> Iterator[Problem]:
    """Keys that the release cannot honour, with the repositories to build from and those of the image."""
    if blueprint.arch not in release.architectures:
        known = ", ".join(sorted(release.architectures))
        brief = f"{release.name} cannot be built for {blueprint.arch}, only for {known}"
        yield Problem(("arch",), brief, expected=f"one of: {known}")
    family = release.family
    other_form = [number for number, item in own_repositories.numbered(blueprint) if not isinstance(item, family.form)]
    for number in other_form:
        brief = f"{release.name} takes packages from {family.name} repositories"
        yield Problem(("repositories", number), brief, f"such a repository has {family.form_keys}")
    yield from _packages(blueprint, release)
    yield from _excluded(blueprint, release)
    yield from _ids(blueprint, release)
    yield from _priorities(blueprint, release, to_build, in_image)
    if not to_build and not other_form:
        brief = "no repository to build from: all of `repositories` are for the image only"
        yield Problem(("repositories",), brief, "add `default`, the distribution's own repositories", at_key=True)


def _priorities(
    blueprint: Blueprint, release: Release, to_build: Sequence[Repository], in_image: Sequence[Repository]
) -> Iterator[Problem]:
    unclear = {item.place for together in (to_build, in_image) for item in release.family.unclear(together)}
    for number, item in own_repositories.numbered(blueprint):
        if item.place in unclear:
            brief = "apt cannot tell this repository from others: they have the same machine, suites and components"
            hint = "give them the same priority, or ask for single packages with NAME/SUITE or NAME=VERSION"
            yield Problem(("repositories", number, "priority"), brief, hint)


def _packages(blueprint: Blueprint, release: Release) -> Iterator[Problem]:
    """Packages in a form that the release's package manager does not have."""
    architecture = release.architectures.get(blueprint.arch)
    if architecture is None or blueprint.document is None:
        return
    kernel = [(("kernel", "package"), blueprint.kernel.package)] if blueprint.kernel.package else []
    for trail, item in [*_items(blueprint), *kernel]:
        if trail[0] == "kernel" and is_file(item):
            yield Problem(trail, f"{item} is a file", "name it in `packages`: a kernel there replaces the default one")
            continue
        if is_file(item):
            name = item if isinstance(item, str) else item.get("source") or item["url"]
            found = release.family.file_problem(name)
        else:
            found = release.family.package_problem(item, architecture.name)
        if found:
            brief, hint = found
            yield Problem(trail, f"{release.name} does not support `{path_text(trail)}`: {brief}", hint)


def _excluded(blueprint: Blueprint, release: Release) -> Iterator[Problem]:
    """Packages that the blueprint excludes and names nevertheless, with a version or the like, or as a file."""
    if blueprint.document is None:
        return
    name_of = release.family.name_of
    by_key = blueprint.kernel.package
    kernel = [by_key] if by_key and by_key not in blueprint.exclude else []
    wanted = {name_of(item): item for item in (*blueprint.packages, *kernel)}
    wanted |= {name: name for file in blueprint.package_files if (name := package_of(file.url))}
    for index, name in enumerate(blueprint.exclude):
        if name in wanted:
            where = "kernel.package" if wanted[name] in kernel else "packages"
            brief = f"{name} is in `exclude`, and `{where}` has {wanted[name]}"
            yield Problem(("exclude", index), brief, "remove one of them")


def _ids(blueprint: Blueprint, release: Release) -> Iterator[Problem]:
    """Repositories of the image with an id that one of the distribution's own has there."""
    known = {item.section for item in release.repositories} - {None}
    for number, item in own_repositories.numbered(blueprint):
        if blueprint.repositories.default and item.use is not Use.BUILD and item.section in known:
            brief = f"one of the distribution's own repositories has the id {item.section}, too"
            yield Problem(("repositories", number, "id"), brief, "choose another id, or leave out `default`")


def _items(blueprint: Blueprint) -> list[tuple[Trail, Any]]:
    """The items of the document's `packages`; a build root's blueprint has none of them."""
    if blueprint.document is None or not (blueprint.packages or blueprint.package_files):
        return []
    return [(("packages", index), item) for index, item in enumerate(blueprint.document.data.get("packages", ()))]
