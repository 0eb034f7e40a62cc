"""The Python API: a project loads, checks, renders, plans and builds blueprints with one set of options."""

import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from osbuild_compose.blueprint import load
from osbuild_compose.blueprint.formats import Format, Output
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.compile import (
    build_root,
    file_names,
    kernel,
    official_addresses,
    own_repositories,
    pipeline,
    provenance,
)
from osbuild_compose.compile.module_catalog import Programs
from osbuild_compose.compile.request import BuildRequest, by_contents
from osbuild_compose.compile.verify import verify
from osbuild_compose.disk.image_options import passphrases
from osbuild_compose.distro import catalog, mirrors, repo_option
from osbuild_compose.distro.catalog import Catalog
from osbuild_compose.distro.family import host_apt
from osbuild_compose.distro.family.protocol import ReadHost
from osbuild_compose.distro.mirrors import Mirrors
from osbuild_compose.distro.model import Release
from osbuild_compose.distro.repository import NamedRepository, Repository
from osbuild_compose.document import reader
from osbuild_compose.document.composition.layering import Choices
from osbuild_compose.errors import BuildError, ComposeError, DocumentError, InputError, as_one
from osbuild_compose.images import BuiltImage, Image, all_passphrases, with_distinct_names
from osbuild_compose.problem import Problem

if TYPE_CHECKING:
    from osbuild_compose.compile.explanation import StageOrigin
    from osbuild_compose.compile.template.tracing import Origins
    from osbuild_compose.report import events
    from osbuild_compose.runner_client import RerunCommand, RunnerSettings


@dataclass
class Project:
    """Options that hold for all blueprints of a session; those of `compose build` have the same meaning.

    templates: directories of distributions' templates, searched before the built-in one.
    mirror, security_mirror: where packages are read from while building; COMPOSE_MIRROR and COMPOSE_SECURITY_MIRROR in
    the environment if None.
    settings: "key=value" texts that replace values of the blueprints, as --set does.
    repos, repo_keys: "NAME=URL" texts or names of .repo files to read packages from instead, and the keys that sign
    them.
    libdirs: directories of stages and assemblers, searched before the built-in ones.
    profiles: names of the blueprints' profiles to apply, in this order.
    variables: "name=value" texts, as --var takes them.
    file_name: what the image files are called, such as "${name}-${version}" (compile/file_names.py); None: the name of
    the blueprint and of the profiles.
    """

    templates: Sequence[Path] = ()
    mirror: str | None = None
    security_mirror: str | None = None
    settings: Sequence[str] = ()
    repos: Sequence[str] = ()
    repo_keys: Sequence[Path] = ()
    libdirs: Sequence[Path] = ()
    profiles: Sequence[str] = ()
    variables: Sequence[str] = ()
    file_name: str | None = None

    @cached_property
    def catalog(self) -> Catalog:
        """The known distributions."""
        return catalog.find(self.templates)

    @cached_property
    def programs(self) -> Programs:
        """The known stages and assemblers."""
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

    def load(self, path: Path) -> Blueprint:
        """The blueprint in a file, merged with all that it extends; its `warnings` are values that are probably wrong.

        Raises InputError; error.each() are all errors, with their locations.
        """
        return self.check(reader.read(path))

    def load_text(self, text: str, file: str = "blueprint.yaml") -> Blueprint:
        """The blueprint in a YAML text. `file` is its name in messages; paths in it are relative to that file.

        Raises InputError as load() does.
        """
        return self.check(reader.parse(text.encode(errors="surrogatepass"), file))

    def check(self, document: reader.Document) -> Blueprint:
        """The blueprint in a document that was read. Raises InputError as load() does."""
        return load.check(document, self.catalog.releases, self._choices, self.catalog.firmware)

    def load_all(self, paths: Iterable[Path]) -> tuple[list[Blueprint], list[InputError]]:
        """The blueprints in these files that have no errors, and all errors of the others."""
        loaded: list[Blueprint] = []
        errors: list[InputError] = []
        for path in paths:
            try:
                loaded.append(self.load(path))
            except InputError as error:
                errors += error.each()
        return loaded, errors

    def problems(self, source: Path | str, formats: Sequence[Format] = ()) -> list[Problem]:
        """All errors and warnings about a blueprint: a file, or YAML text. Raises nothing for what is wrong with it.

        These include what its distribution does not support, and errors of the templates.
        """
        warnings: Sequence[Problem] = ()
        try:
            blueprint = self.load(source) if isinstance(source, Path) else self.load_text(source)
            warnings = blueprint.warnings
            self.images_of(blueprint, formats, embed_provenance=False)
        except ComposeError as error:
            return [*warnings, *map(_as_problem, error.each())]
        return [*warnings]

    def image(self, blueprint: Blueprint, formats: Sequence[Format] = (), *, embed_provenance: bool = True) -> Image:
        """The blueprint rendered to the pipeline that makes its images in `formats`, or else in those that it names.

        Raises as images_of() does, and InputError for formats of which some are of machines and some of containers:
        these take two pipelines.
        """
        made = self.images_of(blueprint, formats, embed_provenance=embed_provenance)
        if made[1:]:
            of_machines, of_containers = (", ".join(image.formats) for image in made)
            raise InputError(
                f"{of_machines} and {of_containers} have different files, so no pipeline makes all of them"
            )
        return made[0]

    def images_of(
        self, blueprint: Blueprint, formats: Sequence[Format] = (), *, embed_provenance: bool = True
    ) -> list[Image]:
        """The blueprint rendered to pipelines that make its images in `formats`, or else in those that it names.

        There is one for the formats that are of machines and one for those that are of containers, in this order.
        Without embed_provenance, which is enough to see whether it can be rendered, the images do not contain how they
        were made. Raises InputError for what the distribution does not support, TemplateError for a wrong template.
        """
        # Which mirror this machine uses makes no difference to whether a blueprint can be rendered.
        read_host = host_apt.read if embed_provenance else _no_host
        requests = self._requests(blueprint, formats, read_host)
        made: list[Image] = []
        for request in requests:
            text = pipeline.to_json(self._complete(request, read_host, embed_provenance=embed_provenance)).encode()
            found = tuple(output.format for output in request.outputs)
            secrets = passphrases(request.layout)
            made.append(Image(blueprint, found, text, kernel.chosen(request), request.file_name, secrets))
        return made

    def _complete(self, request: BuildRequest, read_host: ReadHost, *, embed_provenance: bool) -> pipeline.Pipeline:
        """The request's pipeline with its build root and provenance."""
        blueprint = request.blueprint
        made = self._compiled(request)
        root = self._root_request(request, made, read_host)
        if root:
            made_in = self._compiled(root)
            build_root.check(made_in, blueprint, root.blueprint.distro)
            made["build"] = build_root.around(made_in)
        if embed_provenance:
            made = provenance.completed(made, blueprint, lambda: self._official(request, root, made))
        return made

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

    def _requests(
        self, blueprint: Blueprint, formats: Sequence[Format], read_host: ReadHost = host_apt.read
    ) -> list[BuildRequest]:
        """The requests for the images of machines and for those of containers, as far as there are any."""
        own = {output.format: output for output in blueprint.formats}
        try:
            wanted = dict.fromkeys(map(Format, formats))  # a name will do, too
        except ValueError as error:
            raise InputError(f"unknown format: {error}", hint=f"one of {', '.join(Format)}") from None
        outputs = tuple(own.get(item, Output(item)) for item in wanted) or blueprint.formats
        release = self.catalog.release(blueprint.distro)
        if self.security_mirror and not release.family.has_security_mirrors:
            raise InputError(f"--security-mirror: {release.name} has no mirrors of its own for security updates")
        if not all(isinstance(item, release.family.form) for item in self._instead):
            raise InputError(
                f"--repo: {release.name} takes packages from {release.family.name} repositories",
                hint="use --mirror, or the blueprint's `repositories`",
            )
        blueprint = own_repositories.with_fetched_keys(blueprint, os.environ)
        blueprint = own_repositories.with_local_files(blueprint, release)
        mirrored = _mirrored(release, self._mirrors, read_host)
        name = file_names.of_images(self.file_name, blueprint, self.profiles)
        return by_contents(BuildRequest(blueprint, outputs, self.catalog, mirrored, self._instead, file_name=name))

    def _root_request(
        self, request: BuildRequest, made: pipeline.Pipeline, read_host: ReadHost = host_apt.read
    ) -> BuildRequest | None:
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
            _mirrored(release, self._mirrors if shared else self._mirrors.of_named_archives(), read_host),
            self._instead if own else (),
            build_root.packages(environment, release, made, self.programs),
        )

    def explain(self, blueprint: Blueprint, formats: Sequence[Format] = ()) -> "list[StageOrigin]":
        """For the stages and assembler of each pipeline, those of the build root first: the template's line that wrote
        it, and the blueprint's values that were read for it. Raises as images_of() does.
        """
        from osbuild_compose.compile import explanation  # noqa: PLC0415 - not needed for checking and rendering

        found: list[StageOrigin] = []
        for request in self._requests(blueprint, formats):
            made = self._complete(request, host_apt.read, embed_provenance=True)
            root = self._root_request(request, made)
            root_origins = pipeline.origins(root) if root else None
            found += explanation.of_pipeline(made, request.blueprint, pipeline.origins(request), root_origins)
        return found

    def origins(self, blueprint: Blueprint, formats: Sequence[Format] = ()) -> "Origins":
        """Where the parts of the images' pipeline come from; of the first one, where there are two."""
        return pipeline.origins(self._requests(blueprint, formats)[0])

    def images(
        self,
        paths: Sequence[Path],
        formats: Sequence[Format] = (),
        *,
        embed_provenance: bool = True,
        on_warning: Callable[[Problem], None] = lambda _: None,
    ) -> list[Image]:
        """The blueprints in these files, each rendered as image() does; on_warning gets their warnings first.

        Raises DocumentError with all errors in all of them, InputError when two images would have the same file name.
        """
        made, errors = self.images_and_errors(paths, formats, embed_provenance=embed_provenance, on_warning=on_warning)
        if errors:
            raise as_one(errors, DocumentError)
        return with_distinct_names(made)

    def images_and_errors(
        self,
        paths: Sequence[Path],
        formats: Sequence[Format] = (),
        *,
        embed_provenance: bool = True,
        on_warning: Callable[[Problem], None] = lambda _: None,
    ) -> tuple[list[Image], list[InputError]]:
        """What images() returns, and the errors in the blueprints, of which there are no images."""
        loaded, errors = self.load_all(paths)
        for blueprint in loaded:
            for warning in blueprint.warnings:
                on_warning(warning)
        made: list[Image] = []
        for blueprint in loaded:
            try:
                made += self.images_of(blueprint, formats, embed_provenance=embed_provenance)
            except InputError as error:
                errors += error.each()
        return made, errors

    def plan(self, images: Image | Sequence[Image], runner: "RunnerSettings | None" = None) -> "events.Plan":
        """What a build of all images in one run would run, and what it would take from the store.

        Raises ComposeError.
        """
        from osbuild_compose.report import events  # noqa: PLC0415 - not needed for checking and rendering

        each = [images] if isinstance(images, Image) else images
        return events.plan_of(json.loads(self.plan_document(each, runner)))

    def plan_document(self, images: Sequence[Image], runner: "RunnerSettings | None" = None) -> bytes:
        """The same as the JSON that the runner prints. Raises ComposeError."""
        from osbuild_compose import runner_client  # noqa: PLC0415 - not needed for checking and rendering

        each = [image.pipeline for image in images]
        return runner_client.plan(each, self._runner(runner), all_passphrases(images))

    def build(
        self,
        images: Sequence[Image],
        directory: Path,
        runner: "RunnerSettings | None" = None,
        *,
        on_event: "Callable[[events.Event], None]" = lambda _: None,
        rerun: "RerunCommand" = None,
    ) -> list[BuiltImage]:
        """Build all images in one run, which makes what they share once; the files go into `directory`.

        on_event gets the runner's events (report/events.py) as they happen; rerun says what to type to run a stage
        that failed again. Returns one BuiltImage for each of the images, in their order. Raises ComposeError when no
        image was built: BuildError if a stage failed.
        """
        from osbuild_compose import runner_client  # noqa: PLC0415 - not needed for checking and rendering

        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot create the directory {directory}: {error.strerror}") from None
        if not images:
            return []
        with runner_client.pipeline_files([image.pipeline for image in images]) as files:
            try:
                result, failure = runner_client.build(
                    files,
                    directory.absolute(),
                    self._runner(runner),
                    on_event,
                    rerun,
                    passphrases=all_passphrases(images),
                )
            except ComposeError as error:
                self._point(error, images)
                raise
            if failure:
                self._point(failure, images)
        return [
            BuiltImage(
                image,
                tuple(map(Path, made.files)),
                made.tree_id,
                made.output_id,
                None if made.success else failure,
                made,
            )
            for image, made in zip(images, result.pipelines, strict=True)
        ]

    def _point(self, failure: ComposeError, images: Sequence[Image]) -> None:
        """Give the errors of stages their places in the blueprints."""
        from osbuild_compose.compile import faults  # noqa: PLC0415 - for failed builds only

        for error in failure.each():
            if not isinstance(error, BuildError):
                continue
            if not error.step:
                any(faults.point_to_address(error, image.blueprint) for image in images)
                continue
            for image in images:
                made = json.loads(image.pipeline)
                if (trail := faults.step_trail(made, error.step)) is None:
                    continue
                item = made.get("pipeline", made)
                for step in trail:
                    item = item[step]
                failed = faults.FailedStep(trail, item.get("options", {}))
                release = self.catalog.release(image.blueprint.distro)
                # What went wrong is worth more than its place: a template may have changed since it was rendered.
                with suppress(ComposeError):
                    faults.point(error, failed, self.explain(image.blueprint, image.formats), image.blueprint, release)
                break

    def _runner(self, runner: "RunnerSettings | None") -> "RunnerSettings":
        """The settings, with this project's libdirs if they name none."""
        from osbuild_compose.runner_client import RunnerSettings  # noqa: PLC0415 - not needed for checking and rendering

        settings = runner or RunnerSettings()
        return settings if settings.libdirs else replace(settings, libdirs=tuple(self.libdirs))


def _as_problem(error: ComposeError) -> Problem:
    """What an exception says, as data."""
    steps = error.path.split(".") if error.path else []
    return Problem(
        tuple(int(step) if step.isdecimal() else step for step in steps),
        error.brief,
        error.hint,
        expected=error.expected,
        suggestion=error.suggestion,
        reference=error.reference,
        location=error.location,
    )


def _no_host(*_: object) -> host_apt.HostApt:
    """The settings of a machine without apt."""
    return host_apt.HostApt()


def _mirrored(release: Release, asked: Mirrors, read_host: ReadHost) -> tuple[Repository, ...]:
    """The release's repositories with the addresses that they are read from while building."""
    return release.family.mirrored(release.repositories, release.archives, asked, read_host)
