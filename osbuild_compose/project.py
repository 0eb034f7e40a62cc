"""What most commands begin with: blueprints from files, pipelines from blueprints."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from osbuild_compose.blueprint import load
from osbuild_compose.blueprint.formats import Format, Output
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.compile import (
    build_root,
    image_context,
    official_addresses,
    own_repositories,
    pipeline,
    provenance,
)
from osbuild_compose.compile.module_catalog import Programs
from osbuild_compose.compile.request import BuildRequest
from osbuild_compose.compile.verify import verify
from osbuild_compose.disk.options import passphrases
from osbuild_compose.distro import catalog, mirrors, repo_option
from osbuild_compose.distro.catalog import Catalog
from osbuild_compose.distro.family import host_apt
from osbuild_compose.distro.mirrors import Mirrors
from osbuild_compose.distro.model import Release
from osbuild_compose.distro.repository import NamedRepository, Repository
from osbuild_compose.document.composition.layering import Choices
from osbuild_compose.errors import DocumentError, InputError, as_one
from osbuild_compose.report import errors as report

if TYPE_CHECKING:
    from osbuild_compose.compile.template.tracing import Origins


@dataclass(frozen=True)
class Image:
    """The images of one blueprint, made in one run: their formats, and the pipeline, as JSON.

    passphrases are those that the pipeline only names.
    """

    blueprint: Blueprint
    formats: tuple[Format, ...]
    pipeline: bytes
    passphrases: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def filenames(self) -> list[str]:
        """What their files are called, in the order of the formats."""
        return [image_context.filename(self.blueprint, item) for item in self.formats]


@dataclass
class Project:
    """What the command line chose for all blueprints: distributions, where packages come from, values to replace."""

    templates: Sequence[Path] = ()
    mirror: str | None = None
    security_mirror: str | None = None
    settings: Sequence[str] = ()  # "key=value" texts for all blueprints
    repos: Sequence[str] = ()  # "NAME=URL" texts and names of .repo files
    repo_keys: Sequence[Path] = ()
    libdirs: Sequence[Path] = ()
    profiles: Sequence[str] = ()
    variables: Sequence[str] = ()  # "name=value" texts

    @cached_property
    def catalog(self) -> Catalog:
        """The distributions."""
        return catalog.find(self.templates)

    @cached_property
    def programs(self) -> Programs:
        """The stages and assemblers that templates can use."""
        return Programs(self.libdirs)

    @cached_property
    def _mirrors(self) -> Mirrors:
        return mirrors.asked_for(self.mirror, self.security_mirror, os.environ)

    @cached_property
    def _instead(self) -> tuple[NamedRepository, ...]:
        return repo_option.parse(self.repos, self.repo_keys)

    @property
    def _choices(self) -> Choices:
        return Choices(self.settings, self.profiles, self.variables)

    def blueprints(self, paths: Sequence[Path]) -> list[Blueprint]:
        """The blueprints in these files. Raises DocumentError with all that is wrong in all of them."""
        loaded, problems = self._load(paths)
        if problems:
            raise as_one(problems, DocumentError)
        return loaded

    def _load(self, paths: Sequence[Path]) -> tuple[list[Blueprint], list[InputError]]:
        """Those blueprints that are right, and what is wrong with the others. Tells what is doubtful."""
        loaded: list[Blueprint] = []
        problems: list[InputError] = []
        for path in paths:
            try:
                loaded.append(load.load(path, self.catalog.releases, self._choices, self.catalog.firmware))
            except InputError as error:
                problems += error.each()
        for blueprint in loaded:
            for warning in blueprint.warnings:
                report.warn(warning, sys.stderr)
        return loaded, problems

    def image(self, blueprint: Blueprint, formats: Sequence[Format] = (), *, to_run: bool = True) -> Image:
        """The blueprint's images, in `formats` or else in those it names; with its options for the format, if any.

        to_run: with what images are told about themselves, which is compiled from the official addresses once more.
        Raises ComposeError, also for a template that makes no good pipeline.
        """
        request = self._request(blueprint, formats)
        made = self._compiled(request)
        root = self._root_request(request, made)
        if root:
            made_in = self._compiled(root)
            build_root.check(made_in, blueprint, root.blueprint.distro)
            made["build"] = build_root.around(made_in)
        if to_run:
            made = provenance.completed(made, request.blueprint, lambda: self._official(request, root, made))
        found = tuple(output.format for output in request.outputs)
        return Image(blueprint, found, pipeline.to_json(made).encode(), passphrases(request.layout))

    def _compiled(self, request: BuildRequest) -> pipeline.Pipeline:
        made = pipeline.compile_request(request)
        verify(made, self.programs, lambda: pipeline.origins(request))
        return made

    @staticmethod
    def _official(request: BuildRequest, root: BuildRequest | None, made: pipeline.Pipeline) -> pipeline.Pipeline:
        """What `made`, of `request` and `root`, would be if packages came from their official addresses.

        Images embed the same provenance wherever packages were read from. It is not run, so not verified.
        """
        official, official_root = request.official(), root.official() if root else None
        if (official, official_root) == (request, root):
            return made
        rewritten: pipeline.Pipeline | None = official_addresses.rewritten(made, [request, *([root] if root else [])])
        if rewritten is not None:
            return rewritten
        compiled = pipeline.compile_request(official)
        if official_root:
            compiled["build"] = build_root.around(pipeline.compile_request(official_root))
        return compiled

    def _request(self, blueprint: Blueprint, formats: Sequence[Format]) -> BuildRequest:
        own = {output.format: output for output in blueprint.formats}
        outputs = tuple(own.get(item, Output(item)) for item in dict.fromkeys(formats)) or blueprint.formats
        release = self.catalog.release(blueprint.distro)
        if self.security_mirror and not release.family.has_security_mirrors:
            raise InputError(f"--security-mirror: {release.name} has no mirrors of its own for security updates")
        if not all(isinstance(item, release.family.form) for item in self._instead):
            raise InputError(
                f"--repo: {release.name} takes packages from {release.family.name} repositories",
                hint="use --mirror, or the blueprint's `repositories`",
            )
        blueprint = own_repositories.with_fetched_keys(blueprint, os.environ)
        return BuildRequest(blueprint, outputs, self.catalog, _mirrored(release, self._mirrors), self._instead)

    def _root_request(self, request: BuildRequest, made: pipeline.Pipeline) -> BuildRequest | None:
        """What the root is compiled from in which `made` is run; None where that is the host's."""
        environment = request.blueprint.build_environment
        if not environment:
            return None
        release = self.catalog.release(environment.distro)
        own = environment.distro == request.blueprint.distro
        # --repo, and mirrors that name no archive and have one release only, are for the image's release alone.
        families = (release.family, request.release.family)
        shared = own or all(family.has_mirrors_of_all_releases for family in families)
        return BuildRequest(
            build_root.blueprint_of(request.blueprint, environment),
            (Output(Format.TAR),),
            self.catalog,
            _mirrored(release, self._mirrors if shared else self._mirrors.of_named_archives()),
            self._instead if own else (),
            build_root.packages(environment, release, made, self.programs),
        )

    def origins(self, blueprint: Blueprint, formats: Sequence[Format] = ()) -> "Origins":
        """Where the parts of the images' pipeline come from."""
        return pipeline.origins(self._request(blueprint, formats))

    def root_origins(self, blueprint: Blueprint, formats: Sequence[Format] = ()) -> "Origins | None":
        """Where the parts of the pipeline of their build root come from; None where that is the host's."""
        request = self._request(blueprint, formats)
        root = self._root_request(request, pipeline.compile_request(request))
        return pipeline.origins(root) if root else None

    def images(self, paths: Sequence[Path], formats: Sequence[Format], *, to_run: bool = True) -> list[Image]:
        """All images of the blueprints in these files, in `formats` or else in those each blueprint names.

        Raises DocumentError with all that is wrong in all of them, InputError when two images would have the same file
        name.
        """
        loaded, problems = self._load(paths)
        made: list[Image] = []
        for blueprint in loaded:
            try:
                made.append(self.image(blueprint, formats, to_run=to_run))
            except InputError as error:
                problems += error.each()
        if problems:
            raise as_one(problems, DocumentError)
        seen: set[str] = set()
        for image in made:
            for name in image.filenames:
                if name in seen:
                    where = image.blueprint.document.at_value(["name"]) if image.blueprint.document else None
                    raise InputError(f"two blueprints make {name}; give them different names", location=where)
                seen.add(name)
        return made


def _mirrored(release: Release, asked: Mirrors) -> tuple[Repository, ...]:
    """The release's repositories with the addresses that they are read from while building."""
    return release.family.mirrored(release.repositories, release.archives, asked, host_apt.read)
