"""The build root of a blueprint whose `build_environment` asks for other programs than this machine's."""

from collections.abc import Mapping
from typing import Any

from osbuild_compose.blueprint.model import Blueprint, BuildEnvironment, Repositories
from osbuild_compose.compile.module_catalog import ModuleKind, Programs
from osbuild_compose.distro.model import Release
from osbuild_compose.problem import Problem

RUNNER = "org.osbuild.linux"  # osbuild requires a runner for a build pipeline


def blueprint_of(wanted: Blueprint, environment: BuildEnvironment) -> Blueprint:
    """The blueprint of the build root: only its distribution, architecture and repositories.

    Its document is the image's, so that errors about the root are located there.
    """
    own = environment.distro == wanted.distro
    return Blueprint(
        name="build root",
        distro=environment.distro,
        arch=wanted.arch,
        repositories=wanted.repositories if own else Repositories(),
        document=wanted.document,
    )


def packages(
    environment: BuildEnvironment, release: Release, pipeline: Mapping[str, Any], programs: Programs
) -> tuple[str, ...]:
    """The root's packages: those of the release for building, of the pipeline's stages, and of the blueprint.

    The tools of assemblers are among the first, so that another format does not need another root, which would have to
    be built anew. Raises TemplateError for a stage whose meta.json cannot be read.
    """
    stages = {stage["name"] for stage in pipeline["stages"]}
    tools = [programs.find(ModuleKind.STAGE, name).meta.get("tools", {}) for name in stages]
    needed = {package for item in tools for package in release.family.packages_with(item)}
    return (*sorted({*release.build_packages, *needed}), *environment.packages)


def around(made: Mapping[str, Any]) -> dict[str, Any]:
    """The `build` of a pipeline that runs in the root made by the pipeline `made`."""
    return {"pipeline": made, "runner": RUNNER}


def check(made: Mapping[str, Any], wanted: Blueprint, distro: str) -> None:
    """Raise InputError unless the pipeline makes a root: without a block for it, a template makes an image."""
    if "assembler" in made or not made["stages"]:
        brief = f"{distro} cannot be a build environment: its template makes no build root"
        hint = "add a block `build_root` to the template, or choose another release"
        raise Problem(("build_environment", "from"), brief, hint).located(wanted.document).error()
