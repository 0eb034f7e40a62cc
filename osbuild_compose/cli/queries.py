"""`compose render`, `check`, `plan` and `distros`: questions that are answered without building."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from osbuild_compose import runner_client
from osbuild_compose.blueprint.formats import Format
from osbuild_compose.document.composition import annotated as resolved_document
from osbuild_compose.document.schema import schema_files
from osbuild_compose.project import Image, Project
from osbuild_compose.report.errors import as_data
from osbuild_compose.runner_client import Settings


def render(project: Project, path: Path, image_format: str | None) -> None:
    """Print the pipeline, and nothing else, to standard output."""
    sys.stdout.write(_image(project, path, image_format).pipeline.decode())


def resolved(project: Project, path: Path) -> None:
    """Print the blueprint with all that it extends, and of each value where it comes from."""
    document = project.blueprints([path])[0].document
    assert document is not None
    sys.stdout.write(resolved_document.text(document, schema_files.load("blueprint")))


def check(project: Project, paths: Sequence[Path], as_json: bool) -> None:
    """Say for each blueprint that it is right. Raises DocumentError with all that is wrong."""
    images = project.images(paths, (), to_run=False)
    for path in paths:
        print(f"{path}: fine", file=sys.stderr)
    if as_json:
        made = [
            {"blueprint": image.blueprint.name, "formats": [str(item) for item in image.formats]} for image in images
        ]
        warnings = [as_data(warning.error()) for image in images for warning in image.blueprint.warnings]
        print(
            json.dumps({"success": True, "errors": [], "warnings": warnings, "images": made}, indent=2, sort_keys=True)
        )


def plan(project: Project, path: Path, image_format: str | None, settings: Settings, as_json: bool) -> None:
    """Print what the runner would do: as a table, or as the runner's own JSON."""
    image = _image(project, path, image_format)
    text = runner_client.plan(image.pipeline, settings, image.passphrases).decode()
    if as_json:
        sys.stdout.write(text)
        return
    for action in json.loads(text)["actions"]:
        reason = f"  ({action['reason']})" if action.get("reason") else ""
        print(f"{action['kind']:6}  {action['name']}{reason}")


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


def _image(project: Project, path: Path, image_format: str | None) -> Image:
    blueprint = project.blueprints([path])[0]
    return project.image(blueprint, [Format(image_format)] if image_format else ())
