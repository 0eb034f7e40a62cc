"""`compose build` and `compose run`: pipelines to images."""

import json
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osbuild_compose import runner_client
from osbuild_compose.blueprint.formats import Format
from osbuild_compose.errors import ComposeError, InputError
from osbuild_compose.project import Project
from osbuild_compose.report.errors import as_data
from osbuild_compose.report.events import Made
from osbuild_compose.report.progress import display, duration
from osbuild_compose.runner_client import Settings


@dataclass(frozen=True)
class How:
    """Where the images go, where the runner works, what is shown; and what the person typed after `compose`."""

    directory: Path
    settings: Settings
    as_json: bool = False
    verbose: bool = False
    typed: Sequence[str] = ()


@dataclass(frozen=True)
class _Job:
    """A pipeline in a file, and what the result says of it besides."""

    pipeline: Path
    about: dict[str, Any]
    passphrases: Mapping[str, str] = field(default_factory=dict, repr=False)


def build(project: Project, blueprints: Sequence[Path], formats: Sequence[str], how: How) -> None:
    """Make all images in one run, which makes what they share once. Raises ComposeError, after those that succeed."""
    with _Report(how.as_json) as report, tempfile.TemporaryDirectory(prefix="compose-") as work:
        jobs = []
        for number, image in enumerate(project.images(blueprints, [Format(name) for name in formats])):
            path = Path(work) / f"{number}.json"
            path.write_bytes(image.pipeline)
            about = {"blueprint": image.blueprint.name, "formats": [str(item) for item in image.formats]}
            jobs.append(_Job(path, about, image.passphrases))
        _run(jobs, how, report)


def run(pipeline: str, how: How) -> None:
    """Run the pipeline in a file, or on standard input for "-". Raises ComposeError."""
    with _Report(how.as_json) as report:
        if pipeline == "-" and how.settings.debug_shell:
            raise InputError("--debug-shell needs standard input for the shell", hint="put the pipeline in a file")
        _run([_Job(Path(pipeline), {})], how, report)


def _run(jobs: Sequence[_Job], how: How, report: "_Report") -> None:
    """Run the jobs and tell what they made. Raises the error of those that failed."""
    try:
        how.directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the directory {how.directory}: {error.strerror}") from None
    screen = display(sys.stderr, verbose=how.verbose, steady=how.settings.debug_shell)
    try:
        result, failed = runner_client.build(
            [job.pipeline for job in jobs],
            how.directory.absolute(),
            how.settings,
            screen.show,
            None if how.settings.debug_shell else lambda kept: _again(how, kept),
            passphrases={name: text for job in jobs for name, text in job.passphrases.items()},
        )
    finally:
        screen.close()
    for job, made in zip(jobs, result.pipelines, strict=True):
        report.images.append({**job.about, **_fields(made)})
        if not how.as_json:
            for file in made.files:
                print(file, flush=True)
    print(f"done in {duration(result.seconds)}", file=sys.stderr)
    if failed:
        raise failed


def _again(how: How, kept: str) -> str:
    """What to type for a shell in the sandbox of the stage that failed; what came before it is in the store."""
    typed = list(how.typed)
    if "-" in typed:
        typed = ["run", kept, "--store", str(how.settings.store)]
        typed += [word for path in how.settings.libdirs for word in ("--libdir", str(path))]
    return shlex.join(["compose", *typed, "--debug-shell"])


def _fields(made: Made) -> dict[str, Any]:
    return {
        "success": made.success,
        "tree_id": made.tree_id,
        "output_id": made.output_id,
        "files": list(made.files),
    }


class _Report:
    """Prints, if wanted, one JSON object at the end, also of an error: {"success", "images", "errors"}.

    "error" is the first of the errors.
    """

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self.images: list[dict[str, Any]] = []

    def __enter__(self) -> "_Report":
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if not self._wanted:
            return
        document: dict[str, Any] = {"success": error is None, "images": self.images, "error": None, "errors": []}
        if isinstance(error, ComposeError):
            document["error"] = {"message": error.brief, "details": list(error.details), "hint": error.hint}
            document["errors"] = [as_data(one) for one in error.each()]
        print(json.dumps(document, indent=2, sort_keys=True))
