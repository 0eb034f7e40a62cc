"""`compose import`: an osbuild or image-builder blueprint as one of ours."""

import sys
from pathlib import Path

from osbuild_compose.cli.paths import write_new
from osbuild_compose.distro import catalog
from osbuild_compose.importing.conversion import convert
from osbuild_compose.report.terminal import write_document


def import_blueprint(path: Path, distro: str | None, output: Path | None, *, force: bool) -> None:
    """Write our blueprint to `output` or standard output, and notes to standard error. Raises InputError."""
    found = convert(path, distro, catalog.find().releases)
    if output:
        write_new(output, found.text, force=force)
    else:
        write_document(found.text, sys.stdout)
    for note in found.notes:
        print(f"not carried over: {note.key}: {note.reason}", file=sys.stderr)
