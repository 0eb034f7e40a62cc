"""`compose render`, `check`, `plan` and `distros`: questions that are answered without building."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from osbuild_compose.blueprint.model import Format
from osbuild_compose.cli import runner
from osbuild_compose.cli.prepare import Image, Workshop
from osbuild_compose.cli.runner import Settings


def render(workshop: Workshop, path: Path, image_format: str | None) -> None:
    """Print the pipeline, and nothing else, to standard output."""
    sys.stdout.write(_image(workshop, path, image_format).pipeline.decode())


def check(workshop: Workshop, paths: Sequence[Path]) -> None:
    """Say for each blueprint that it is right. Raises DocumentError with all that is wrong."""
    images = workshop.images(paths, ())
    for path in paths:
        print(f"{path}: fine", file=sys.stderr)
    del images


def plan(workshop: Workshop, path: Path, image_format: str | None, settings: Settings, as_json: bool) -> None:
    """Print what the runner would do: as a table, or as the runner's own JSON."""
    text = runner.plan(_image(workshop, path, image_format).pipeline, settings).decode()
    if as_json:
        sys.stdout.write(text)
        return
    for action in json.loads(text)["actions"]:
        reason = f"  ({action['reason']})" if action.get("reason") else ""
        print(f"{action['kind']:6}  {action['name']}{reason}")


def distros(workshop: Workshop, as_json: bool) -> None:
    """Print the distributions with their architectures."""
    releases = sorted(workshop.catalog.releases.values(), key=lambda release: release.name)
    if as_json:
        rows = [{"name": r.name, "title": r.title, "architectures": sorted(r.architectures)} for r in releases]
        print(json.dumps(rows, indent=2, sort_keys=True))
        return
    width = max(len(release.name) for release in releases)
    for release in releases:
        print(f"{release.name:{width}}  {release.title}  {', '.join(sorted(release.architectures))}")


def _image(workshop: Workshop, path: Path, image_format: str | None) -> Image:
    blueprint = workshop.blueprints([path])[0]
    return workshop.image(blueprint, Format(image_format) if image_format else blueprint.formats[0])
