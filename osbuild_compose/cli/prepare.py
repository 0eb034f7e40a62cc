"""What most commands begin with: blueprints from files, pipelines from blueprints."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from osbuild_compose.blueprint import load
from osbuild_compose.blueprint.formats import Format, Output
from osbuild_compose.blueprint.model import Blueprint, BuildEnvironment
from osbuild_compose.compile import build_root, luks, pipeline, provenance
from osbuild_compose.compile.origin import Origins
from osbuild_compose.compile.programs import Programs
from osbuild_compose.compile.verify import verify
from osbuild_compose.distro import catalog, fetch_key, mirrors, repo_option
from osbuild_compose.distro.catalog import Catalog
from osbuild_compose.distro.mirrors import Mirrors
from osbuild_compose.document.compose import Choices
from osbuild_compose.errors import ComposeError, DocumentError, InputError
from osbuild_compose.repository import RpmRepository


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
        return [pipeline.filename(self.blueprint, item) for item in self.formats]


@dataclass
class Workshop:
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
    def _instead(self) -> tuple[RpmRepository, ...]:
        return repo_option.parse(self.repos, self.repo_keys)

    @property
    def _choices(self) -> Choices:
        return Choices(self.settings, self.profiles, self.variables)

    def blueprints(self, paths: Sequence[Path]) -> list[Blueprint]:
        """The blueprints in these files. Raises DocumentError with all that is wrong in all of them."""
        loaded, problems = self._load(paths)
        _raise_all(problems)
        return loaded

    def _load(self, paths: Sequence[Path]) -> tuple[list[Blueprint], list[InputError]]:
        """Those blueprints that are right, and what is wrong with the others."""
        loaded: list[Blueprint] = []
        problems: list[InputError] = []
        for path in paths:
            try:
                loaded.append(load.load(path, self.catalog.releases, self._choices))
            except load.WrongBlueprintError as error:
                problems += [*_each(error), *self._refused_besides(error)]
            except InputError as error:
                problems += _each(error)
        return loaded, problems

    def _refused_besides(self, error: load.WrongBlueprintError) -> list[InputError]:
        """What the distribution cannot do of a wrong blueprint, as far as it has nothing to do with what is wrong."""
        rest = error.rest()
        if rest is None:
            return []
        try:
            found = pipeline.refusals(*self._arguments(rest, (), fetch_keys=False))
        except ComposeError:
            return []  # told when the blueprint is right
        return [refusal for refusal, keys in found if keys.isdisjoint(error.wrong)]

    def image(self, blueprint: Blueprint, formats: Sequence[Format] = (), *, to_run: bool = True) -> Image:
        """The blueprint's images, in `formats` or else in those it names; with its options for the format, if any.

        to_run: with what images are told about themselves, which is compiled from the official addresses once more.
        Raises ComposeError, also for a template that makes no good pipeline.
        """
        arguments = self._arguments(blueprint, formats)
        made_here = self._compiled(arguments)
        # What images are told about themselves is the same wherever packages were read from.
        compiled = (
            provenance.completed(made_here, arguments[0], lambda: self._official(arguments, made_here))
            if to_run
            else made_here
        )
        made = tuple(output.format for output in arguments[1])
        return Image(blueprint, made, pipeline.to_json(compiled).encode(), luks.passphrases(blueprint))

    def _official(self, arguments: tuple[Any, ...], compiled: pipeline.Pipeline) -> pipeline.Pipeline:
        """What `compiled` would be if packages came from their official addresses."""
        blueprint, outputs, catalog, *_ = arguments
        others = (blueprint, outputs, catalog, catalog.release(blueprint.distro).repositories, ())
        if not blueprint.repositories.default or (others == arguments and not blueprint.build_environment):
            return compiled
        return self._compiled(others, official=True)

    def _compiled(self, arguments: tuple[Any, ...], *, official: bool = False) -> pipeline.Pipeline:
        """The whole pipeline, the root it is run in included.

        official: that root is from the official addresses, too. It is not run, and was verified in another form.
        """
        compiled = pipeline.compile_blueprint(*arguments)
        if not official:
            verify(compiled, self.programs, lambda: pipeline.origins(*arguments))
        if environment := arguments[0].build_environment:
            made_in = self._build_root(arguments[0], environment, compiled, official=official)
            compiled["build"] = {"pipeline": made_in, "runner": build_root.RUNNER}
        return compiled

    def _build_root(
        self, wanted: Blueprint, environment: BuildEnvironment, compiled: pipeline.Pipeline, *, official: bool
    ) -> pipeline.Pipeline:
        """The pipeline of the root in which `compiled` is run."""
        arguments, packages = self._root_arguments(wanted, environment, compiled, official=official)
        made = pipeline.compile_blueprint(*arguments, build_root=packages)
        verify(made, self.programs, lambda: pipeline.origins(*arguments, build_root=packages))
        build_root.check(made, wanted, environment)
        return made

    def _root_arguments(
        self, wanted: Blueprint, environment: BuildEnvironment, compiled: pipeline.Pipeline, *, official: bool
    ) -> tuple[tuple[Any, ...], tuple[str, ...]]:
        """What the root in which `compiled` is run is compiled from, and its packages."""
        release = self.catalog.release(environment.distro)
        own = environment.distro == wanted.distro
        # Debian's releases share mirrors; --repo and the mirrors of RPMs are for the image's release alone.
        shared = own or not (release.is_rpm or self.catalog.release(wanted.distro).is_rpm)
        read = release.repositories if official else mirrors.resolve(release, self._mirrors if shared else Mirrors())
        arguments = (
            build_root.blueprint_of(wanted, environment),
            (Output(Format.TAR),),
            self.catalog,
            read,
            self._instead if own and not official else (),
        )
        return arguments, build_root.packages(environment, release, compiled, self.programs)

    def origins(self, blueprint: Blueprint, formats: Sequence[Format] = ()) -> Origins:
        """Where the parts of the images' pipeline come from."""
        return pipeline.origins(*self._arguments(blueprint, formats))

    def root_origins(self, blueprint: Blueprint, formats: Sequence[Format] = ()) -> Origins | None:
        """Where the parts of the pipeline of their build root come from; None where that is the host's."""
        arguments = self._arguments(blueprint, formats)
        if not (environment := blueprint.build_environment):
            return None
        compiled = pipeline.compile_blueprint(*arguments)
        own, packages = self._root_arguments(arguments[0], environment, compiled, official=False)
        return pipeline.origins(*own, build_root=packages)

    def _arguments(
        self, blueprint: Blueprint, formats: Sequence[Format], *, fetch_keys: bool = True
    ) -> tuple[Any, ...]:
        own = {output.format: output for output in blueprint.formats}
        outputs = [own.get(item, Output(item)) for item in dict.fromkeys(formats)] or list(blueprint.formats)
        release = self.catalog.release(blueprint.distro)
        if release.is_rpm and self.security_mirror:
            raise InputError(f"--security-mirror: {release.name} has no mirrors of its own for security updates")
        if self._instead and not release.is_rpm:
            raise InputError(
                f"--repo: {release.name} takes no repositories of the RPM kind",
                hint="use --mirror, or the blueprint's `repositories`",
            )
        if fetch_keys:
            blueprint = fetch_key.fetched(blueprint, os.environ)
        return blueprint, outputs, self.catalog, mirrors.resolve(release, self._mirrors), self._instead

    def images(self, paths: Sequence[Path], formats: Sequence[Format], *, to_run: bool = True) -> list[Image]:
        """All images of the blueprints in these files, in `formats` or else in those each blueprint names.

        Raises DocumentError with all that is wrong in all of them, InputError when two images would have the same file
        name.
        """
        loaded, problems = self._load(paths)
        images: list[Image] = []
        for blueprint in loaded:
            try:
                images.append(self.image(blueprint, formats, to_run=to_run))
            except InputError as error:
                problems += _each(error)
        _raise_all(problems)
        seen: set[str] = set()
        for image in images:
            for name in image.filenames:
                if name in seen:
                    where = image.blueprint.document.at_value(["name"]) if image.blueprint.document else None
                    raise InputError(f"two blueprints make {name}; give them different names", location=where)
                seen.add(name)
        return images


def _each(error: InputError) -> list[InputError]:
    return [one for one in error.each() if isinstance(one, InputError)]


def _raise_all(problems: Sequence[InputError]) -> None:
    if problems:
        raise problems[0] if len(problems) == 1 else DocumentError(problems)
