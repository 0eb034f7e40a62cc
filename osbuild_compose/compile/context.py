"""The variables that templates see; docs/reference/templates.md describes them."""

from dataclasses import replace
from typing import Any

from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.blueprint.values.package_file import package_of
from osbuild_compose.compile import kernel, own_repositories
from osbuild_compose.compile.image_context import image_context
from osbuild_compose.compile.request import BuildRequest
from osbuild_compose.distro.model import Release
from osbuild_compose.distro.repository import Use


def template_variables(request: BuildRequest) -> dict[str, Any]:
    """The variables of templates by their names."""
    blueprint, release = request.blueprint, request.release
    own = own_repositories.usable(blueprint, release)
    default = blueprint.repositories.default
    to_build = tuple(item for item in own if item.use is not Use.IMAGE)
    in_image = tuple(item for item in own if item.use is not Use.BUILD)
    read = tuple(own_repositories.signed(repository, release) for repository in request.instead)
    everything = read or release.family.together((*(request.mirrors if default else ()), *to_build))
    # The image has the distribution's keys in a file.
    official = tuple(replace(item, keys=()) for item in release.repositories) if default else ()
    written = (item for item in blueprint.repositories.own if isinstance(item, release.family.form))
    in_the_image = release.family.together((*official, *(item for item in written if item.use is not Use.BUILD)))
    requested = _requested(blueprint, release)
    return {
        "blueprint": blueprint,
        "release": release,
        "architecture": request.architecture,
        # Blueprints that only add repositories have the same base system, and share its layers.
        "base_repositories": read or (request.mirrors if default else everything),
        "repositories": everything,
        "own_repositories": in_image,
        "local_repository_files": tuple(file for item in everything for file in item.files),
        "pins": release.family.pins(everything),
        "image_pins": release.family.pins(in_the_image),
        "image_repositories": in_the_image,
        "requested": requested,
        "package_names": requested["names"],
        "services": _services(blueprint, () if request.is_container else release.enabled_services, release),
        "image": {**image_context(request), "kernel": kernel.chosen(request)},
        "build_root": request.build_root,
    }


def _requested(blueprint: Blueprint, release: Release) -> dict[str, Any]:
    """The names of the blueprint's packages, those in package files included, and the answers for the base system.

    The latter are all but those to questions of packages that are installed later because the blueprint names them.
    """
    files = (package_of(file.url) for file in blueprint.package_files)
    names = tuple(dict.fromkeys(filter(None, (*map(release.family.name_of, blueprint.packages), *files))))
    later = {*names} - {*release.packages}
    return {"names": names, "base_answers": tuple(item for item in blueprint.debconf if item.package not in later)}


def _services(blueprint: Blueprint, always: tuple[str, ...], release: Release) -> dict[str, Any]:
    """The blueprint's services under the release's names for them, and those that are `always` enabled."""

    def named(units: tuple[str, ...]) -> list[str]:
        return list(dict.fromkeys(release.services.get(unit, unit) for unit in units))

    asked = blueprint.services
    against = {*named(asked.disabled), *named(asked.masked)}
    enabled = [unit for unit in always if unit not in against] + named(asked.enabled)
    own = [f"{timer.name}.timer" for timer in blueprint.timers]
    own += [f"compose-first-boot-{script.name}.service" for script in blueprint.first_boot]
    return {
        "own": own,
        "enabled": list(dict.fromkeys(enabled)),
        "disabled": named(asked.disabled),
        "masked": named(asked.masked),
        "default_target": asked.default_target,
    }
