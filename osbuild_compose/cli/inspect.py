"""`compose inspect`: what is in an image."""

import sys
from pathlib import Path

from osbuild_compose import signals
from osbuild_compose.inspecting.inspection import inspect
from osbuild_compose.inspecting.output import as_json, as_text


def show(path: Path, wants_json: bool) -> None:
    """Print what is in the image. Raises InputError for what is no image."""
    with signals.tidied():  # copies of the disk are removed
        report = inspect(path)
    sys.stdout.write(as_json(report) if wants_json else as_text(report))
