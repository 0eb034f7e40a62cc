"""The variables that templates see; docs/reference/templates.md describes them."""

import re
from typing import Any

from osbuild_compose.blueprint.model import Blueprint
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
    read = tuple(own_repositories.signed(repository, release) for repository in request.instead)
    base_repositories = read or (request.mirrors if default else to_build)
    repositories = read or ((*request.mirrors, *to_build) if default else to_build)
    return {
        "blueprint": blueprint,
        "release": release,
        "architecture": request.architecture,
        # Blueprints that only add repositories have the same base system, and share its layers.
        "base_repositories": base_repositories,
        "repositories": repositories,
        "own_repositories": tuple(item for item in own if item.use is not Use.BUILD),
        "package_names": tuple(dict.fromkeys(re.split("[=/:]", name)[0] for name in blueprint.packages)),
        "services": _services(blueprint, () if request.is_container else release.enabled_services, release),
        "image": {**image_context(request), "kernel": kernel.chosen(request)},
        "build_root": request.build_root,
    }


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
