"""`compose templates check`: every release and architecture rendered, before anyone builds with them."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from osbuild_compose import template_check
from osbuild_compose.cli.error_output import load
from osbuild_compose.errors import TemplatesError
from osbuild_compose.project import Project
from osbuild_compose.template_check import ReleaseCheck


def check(directory: Path | None, blueprints: Sequence[Path], libdirs: Sequence[Path], as_json: bool) -> None:
    """Print for each release that its template is fine. Raises TemplatesError with all errors."""
    project = Project([directory] if directory else (), libdirs=libdirs)
    found = template_check.check(project, [load(project, path) for path in blueprints])
    if as_json:
        print(json.dumps([_data(result) for result in found.releases], indent=2, sort_keys=True))
    else:
        for result in found.releases:
            if not result.errors:
                refused = f", does not support {', '.join(result.refused)}" if result.refused else ""
                fine = f"fine ({result.pipelines} pipelines{refused})"
                print(f"{result.release} {result.arch}: {fine}", file=sys.stderr)
    if found.errors:
        raise TemplatesError(found.errors)


def _data(result: ReleaseCheck) -> dict[str, object]:
    return {
        "release": result.release,
        "arch": result.arch,
        "pipelines": result.pipelines,
        "refused": list(result.refused),
        "errors": [str(error) for error in result.errors],
    }
