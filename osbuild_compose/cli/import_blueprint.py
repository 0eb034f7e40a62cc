"""`compose import`: an osbuild or image-builder blueprint as one of ours."""

import sys
from pathlib import Path

from osbuild_compose.cli.paths import write_new
from osbuild_compose.document.reader import Document
from osbuild_compose.errors import DocumentError, InputError, Location
from osbuild_compose.importing.conversion import convert
from osbuild_compose.importing.osbuild import Target
from osbuild_compose.importing.source import Note
from osbuild_compose.project import Project


def import_blueprint(
    path: Path, distro: str | None, name: str | None, output: Path | None, *, strict: bool, force: bool
) -> None:
    """Write our blueprint to `output` or standard output, and notes to standard error.

    Raises InputError; with strict also for each note.
    """
    project = Project()

    def check(document: Document) -> None:
        project.image(project.check(document), embed_provenance=False)

    def target(name: str) -> Target:
        release = project.catalog.release(name)
        return Target(release.family.before_version, release.variables.get("import_packages", {}))

    found = convert(path, distro, project.catalog.releases, check, target=target, name=name)
    if strict and found.notes:
        raise DocumentError([_error(path, note) for note in found.notes])
    if output:
        write_new(output, found.text, force=force)
    else:
        sys.stdout.write(found.text)
    for note in found.notes:
        what = "not carried over" if note.is_lost else "changed"
        line = f" ({path}:{note.line})" if note.line else ""
        print(f"{what}: {note.key}: {note.reason}{line}", file=sys.stderr)


def _error(path: Path, note: Note) -> InputError:
    what = "not carried over" if note.is_lost else "changed"
    return InputError(f"{what}: `{note.key}`: {note.reason}", location=Location(str(path), note.line, 1))
