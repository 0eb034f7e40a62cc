"""What stages run in, where a blueprint's `build_environment` says another root than this machine's."""

from collections.abc import Mapping
from typing import Any

from osbuild_compose.blueprint.model import Blueprint, BuildEnvironment, Repositories
from osbuild_compose.compile.module_catalog import Kind, Programs
from osbuild_compose.distro.model import Release
from osbuild_compose.problem import Problem

RUNNER = "org.osbuild.linux"  # osbuild wants one named beside a build pipeline


def blueprint_of(wanted: Blueprint, environment: BuildEnvironment) -> Blueprint:
    """The blueprint that the root is made by: of its distribution, with nothing of the image's own in it.

    Its document is the image's, so that what is wrong with the root is told there.
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
    """What the root has: what building needs, what the pipeline's stages need, what the blueprint wants besides.

    What assemblers need is part of the first: another format must not make another root, of which nothing in the store
    is. Raises TemplateError for a stage whose meta.json cannot be read.
    """
    stages = {stage["name"] for stage in pipeline["stages"]}
    tools = [programs.find(Kind.STAGE, name).meta.get("tools", {}) for name in stages]
    needed = {package for item in tools for package in release.family.packages_with(item)}
    return (*sorted({*release.build_packages, *needed}), *environment.packages)


def around(made: Mapping[str, Any]) -> dict[str, Any]:
    """What a pipeline says of the root that it is run in, which `made` makes."""
    return {"pipeline": made, "runner": RUNNER}


def check(made: Mapping[str, Any], wanted: Blueprint, distro: str) -> None:
    """Raise InputError unless the pipeline makes a root: a template that knows nothing of roots makes an image."""
    if "assembler" in made or not made["stages"]:
        brief = f"{distro} cannot be a build environment: its template makes no build root"
        hint = "add a block `build_root` to the template, or choose another release"
        raise Problem(("build_environment", "from"), brief, hint).located(wanted.document).error()
