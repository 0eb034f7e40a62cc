"""`compose render`, `check` and `distros`: questions that are answered without building."""
# ruff: noqa: PLC0415 - as in app.py

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from osbuild_compose import variants
from osbuild_compose.blueprint.formats import Format
from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.cli.error_output import warn
from osbuild_compose.compile.pipeline import together
from osbuild_compose.project import Project
from osbuild_compose.report.error_text import as_data
from osbuild_compose.report.terminal import printable, write_document, write_json


def render(project: Project, blueprint: Blueprint, formats: Sequence[Format]) -> None:
    """Print the pipeline, or the document with all that it takes, and nothing else, to standard output."""
    made = [image.pipeline for image in project.images_of(blueprint, formats)]
    write_json(together(made).decode(), sys.stdout)


def resolved(blueprint: Blueprint) -> None:
    """Print the blueprint merged with all that it extends, with the origin of each value."""
    from osbuild_compose.document.composition import annotated
    from osbuild_compose.document.schema import schema_files

    assert blueprint.document is not None
    write_document(annotated.text(blueprint.document, schema_files.load("blueprint")), sys.stdout)


def check(projects: Sequence[Project], paths: Sequence[Path], as_json: bool) -> None:
    """Print for each blueprint that it is fine. Raises InputError with all errors in all of them."""
    images = variants.images(projects, paths, embed_provenance=False, on_warning=warn)
    for path in paths:
        print(f"{printable(str(path))}: fine", file=sys.stderr)
    if as_json:
        made = [
            {"blueprint": image.blueprint.name, "formats": [str(item) for item in image.formats]} for image in images
        ]
        warnings = [as_data(warning.error()) for image in images for warning in image.blueprint.warnings]
        print(
            json.dumps({"success": True, "errors": [], "warnings": warnings, "images": made}, indent=2, sort_keys=True)
        )


def distros(project: Project, as_json: bool) -> None:
    """Print the distributions with their architectures."""
    releases = sorted(project.catalog.read_all().values(), key=lambda release: release.name)
    if as_json:
        rows = [{"name": r.name, "title": r.title, "architectures": sorted(r.architectures)} for r in releases]
        print(json.dumps(rows, indent=2, sort_keys=True))
        return
    width = max(len(release.name) for release in releases)
    for release in releases:
        print(f"{release.name:{width}}  {release.title}  {', '.join(sorted(release.architectures))}")
