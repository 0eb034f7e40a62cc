"""Checks templates by rendering sample blueprints for every release and architecture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from osbuild_compose.blueprint import load
from osbuild_compose.blueprint.formats import Format
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.compile import sample_blueprints
from osbuild_compose.compile.template import template_blocks
from osbuild_compose.distro import catalog
from osbuild_compose.distro.model import Release
from osbuild_compose.distro.sources import FILE, TEMPLATE
from osbuild_compose.document.reader import Document
from osbuild_compose.document.schema import schema_files
from osbuild_compose.errors import ComposeError, TemplateError
from osbuild_compose.project import Project

BASE = "_base"  # the directory of what all templates share
FORMATS = (Format.QCOW2, Format.TAR)  # templates tell disks and archives apart


@dataclass
class ReleaseCheck:
    """The result for a release on an architecture.

    pipelines is how many were rendered; refused are the blueprint's keys that the template refuses.
    """

    release: str
    arch: str
    pipelines: int = 0
    refused: tuple[str, ...] = ()
    errors: list[ComposeError] = field(default_factory=list)


@dataclass(frozen=True)
class TemplateCheck:
    """The result of a check: of each release, and all errors, each of them once."""

    releases: tuple[ReleaseCheck, ...]
    errors: tuple[ComposeError, ...]


def check(project: Project, blueprints: Sequence[Blueprint] = ()) -> TemplateCheck:
    """Render samples for every release and architecture of the project's templates, and these blueprints.

    Without directories of its own, these are the built-in ones. Raises TemplateError if a distro.yaml is wrong.
    """
    releases = project.catalog.read_all()
    everything = _everything(project)
    results = tuple(
        _try(project, release, arch, everything)
        for release, about in sorted(releases.items())
        if _is_touched(project, project.catalog.releases.distribution(release), about)
        for arch in about.architectures
    )
    errors: list[ComposeError] = [*_unused(project), *(error for result in results for error in result.errors)]
    for blueprint in blueprints:
        try:
            project.image(blueprint)
        except ComposeError as error:
            errors += error.each()
    # Releases share templates, and so their errors.
    return TemplateCheck(results, tuple({(str(error.location), error.brief): error for error in errors}.values()))


def _is_touched(project: Project, distribution: str, release: Release) -> bool:
    """Whether a file in the project's own directories may change how images of the release are made."""
    if not project.templates:
        return True
    own = {entry.name for directory in project.templates for entry in directory.iterdir() if entry.is_dir()}
    try:
        chain = template_blocks.layers(release.template, project.catalog.directories, catalog.built_in())
    except TemplateError:
        return True  # rendering tells the error
    used = {Path(layer.template).parent.name for layer in chain} | {BASE}
    return not own.isdisjoint(used.union(project.catalog.sources.lineage(distribution)))


def _everything(project: Project) -> Document:
    """A blueprint with every key, valid as far as that does not depend on the release."""
    releases = project.catalog.releases
    release = min(releases)
    document = sample_blueprints.everything(
        schema_files.load("blueprint"), release, min(releases[release].architectures)
    )
    return sample_blueprints.fitting(document, lambda attempt: load.check(attempt, releases))


def _try(project: Project, release: str, arch: str, everything: Document) -> ReleaseCheck:
    result = ReleaseCheck(release, arch)
    documents = [sample_blueprints.smallest(release, arch), sample_blueprints.on(everything, release, arch)]

    def attempt(document: Document) -> None:
        blueprint = load.check(document, project.catalog.releases, firmware=project.catalog.firmware)
        for image_format in FORMATS:
            project.image(blueprint, [image_format])

    try:
        for document in documents:
            fits = sample_blueprints.fitting(document, attempt)
            result.pipelines += len(FORMATS)
        result.refused = tuple(key for key in documents[-1].data if key not in fits.data)
    except TemplateError as error:
        result.errors += error.each()
    return result


def _unused(project: Project) -> Iterator[TemplateError]:
    """Templates in the project's directories that are named like a distribution's but belong to none."""
    used = set(project.catalog.sources.paths)
    for directory in project.templates:
        for path in sorted(directory.glob(f"*/{TEMPLATE}")):
            name = path.parent.name
            if name not in used and name != BASE:
                yield TemplateError(
                    f"{path} is used by no distribution",
                    hint=f"put a {FILE} beside it, or name the directory like the distribution it is for",
                )
