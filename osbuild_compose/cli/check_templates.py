"""`compose templates check`: every release and architecture rendered, before anyone builds with them."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from osbuild_compose.blueprint import load
from osbuild_compose.blueprint.formats import Format
from osbuild_compose.cli.templates import here
from osbuild_compose.compile import sample_blueprints
from osbuild_compose.distro.sources import FILE, TEMPLATE
from osbuild_compose.document.reader import Document
from osbuild_compose.document.schema import schema_files
from osbuild_compose.errors import ComposeError, TemplateError, TemplatesError
from osbuild_compose.project import Project

FORMATS = (Format.QCOW2, Format.TAR)  # templates tell disks and archives apart


@dataclass
class _Result:
    """What came out for a release on an architecture."""

    release: str
    arch: str
    pipelines: int = 0
    refused: tuple[str, ...] = ()
    errors: list[ComposeError] = field(default_factory=list)


def check(directory: Path | None, blueprints: Sequence[Path], libdirs: Sequence[Path], as_json: bool) -> None:
    """Say for each release that its template is right. Raises TemplateError(s) with all that is wrong."""
    project = Project([directory] if directory else (), mirror=None, libdirs=libdirs)
    unused = list(_unused(project)) if directory else []
    own = project.blueprints(blueprints)
    everything = _everything(project)
    results = [
        _try(project, release, arch, everything)
        for release, about in sorted(project.catalog.read_all().items())
        for arch in about.architectures
    ]
    errors: list[ComposeError] = [*unused, *(error for result in results for error in result.errors)]
    for blueprint in own:
        try:
            project.image(blueprint)
        except ComposeError as error:
            errors += error.each()
    if as_json:
        rows = [
            {
                "release": result.release,
                "arch": result.arch,
                "pipelines": result.pipelines,
                "refused": list(result.refused),
                "errors": [str(error) for error in result.errors],
            }
            for result in results
        ]
        print(json.dumps(rows, indent=2, sort_keys=True))
    for result in results if not as_json else ():
        if not result.errors:
            refused = f", does not support {', '.join(result.refused)}" if result.refused else ""
            print(f"{result.release} {result.arch}: fine ({result.pipelines} pipelines{refused})", file=sys.stderr)
    if errors:
        # Releases share templates, and so mistakes.
        raise TemplatesError(list({(str(error.location), error.brief): error for error in errors}.values()))


def _everything(project: Project) -> Document:
    """A blueprint with every key, right as far as that does not depend on the release."""
    releases = project.catalog.releases
    release = min(releases)
    document = sample_blueprints.everything(
        schema_files.load("blueprint"), release, min(releases[release].architectures)
    )
    return sample_blueprints.fitting(document, lambda attempt: load.check(attempt, releases))


def _try(project: Project, release: str, arch: str, everything: Document) -> _Result:
    result = _Result(release, arch)
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
    """Templates in the user's directory that look like a distribution's and are none's."""
    own = project.templates[0]
    used = set(project.catalog.sources.paths)
    for path in sorted(own.glob(f"*/{TEMPLATE}")):
        name = path.parent.name
        if name not in used and name != "_base":
            yield TemplateError(
                f"{here(str(path.absolute()))} is used by no distribution",
                hint=f"put a {FILE} beside it, or name the directory like the distribution it is for",
            )
