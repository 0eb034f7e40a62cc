"""`compose build` and `compose run`: from blueprints or a pipeline to images."""

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from osbuild_compose import runner_client, variants
from osbuild_compose.blueprint.formats import Format
from osbuild_compose.cli.error_output import warn
from osbuild_compose.errors import ComposeError, InputError
from osbuild_compose.images import names
from osbuild_compose.project import Project
from osbuild_compose.report import summary
from osbuild_compose.report.error_text import as_data
from osbuild_compose.report.events import Event, PipelineResult, Result
from osbuild_compose.report.progress import display
from osbuild_compose.report.terminal import printable
from osbuild_compose.runner_client import RunnerSettings


@dataclass(frozen=True)
class OutputOptions:
    """Where the images go, how the runner works, what is shown; and the command line, without `compose`."""

    directory: Path
    runner: RunnerSettings
    as_json: bool = False
    verbose: bool = False
    typed: Sequence[str] = ()


def build(
    projects: Sequence[Project], blueprints: Sequence[Path], formats: Sequence[Format], options: OutputOptions
) -> None:
    """Build the images of all projects in one run. Raises ComposeError, after the output about those that succeeded."""
    with _Report(options) as report:
        images = variants.images(projects, blueprints, formats, on_warning=warn)
        named = names(images)
        with _progress(options, report, named) as show:
            built = projects[0].build(
                images, options.directory, options.runner, on_event=show, rerun=_rerun_command(options)
            )
        for item in built:
            image = item.image
            about = {
                "blueprint": image.blueprint.name,
                "name": image.file_name,
                "formats": list(map(str, image.formats)),
            }
            if item.result:
                report.add(about, item.result)
        report.end(named)
        if failed := next((item.error for item in built if item.error), None):
            raise failed


def run(pipeline: str, options: OutputOptions) -> None:
    """Run the pipeline in a file, or on standard input for "-". Raises ComposeError."""
    with _Report(options) as report:
        if pipeline in ("/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"):
            pipeline = "-"  # the runner has another standard input unless it is told to read it
        if pipeline == "-" and options.runner.debug_shell:
            raise InputError("--debug-shell needs standard input for the shell", hint="put the pipeline in a file")
        try:
            options.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot create the directory {options.directory}: {error.strerror}") from None
        with _progress(options, report) as show:
            result, failed = runner_client.build(
                [Path(pipeline)], options.directory.absolute(), options.runner, show, _rerun_command(options)
            )
        for made in result.pipelines:
            report.add({}, made)
        report.end()
        if failed:
            raise failed


@contextmanager
def _progress(
    options: OutputOptions, report: "_Report", names: Sequence[str] = ()
) -> Iterator[Callable[[Event], None]]:
    """What shows events, on standard error, while the runner works."""
    screen = display(sys.stderr, verbose=options.verbose, plain=options.runner.debug_shell, names=names)

    def show(event: Event) -> None:
        if isinstance(event, Result):
            report.seconds = event.seconds
        screen.show(event)

    try:
        yield show
    finally:
        screen.close()


def _rerun_command(options: OutputOptions) -> runner_client.RerunCommand:
    return None if options.runner.debug_shell else lambda kept: _with_debug_shell(options, kept)


def _with_debug_shell(options: OutputOptions, kept: str) -> str:
    """The command for a shell in the sandbox of the stage that failed; what came before it is in the store."""
    typed = list(options.typed)
    if "-" in typed:
        typed = ["run", kept, "--store", str(options.runner.store)]
        typed += [word for path in options.runner.libdirs for word in ("--libdir", str(path))]
    return shlex.join(["compose", *typed, "--debug-shell"])


@dataclass
class _Report:
    """Prints the images, or with --json one object at the end, also of an error: {"success", "images", "errors"}.

    "error" is the first of the errors.
    """

    options: OutputOptions
    images: list[dict[str, Any]] = field(default_factory=list)
    results: list[PipelineResult] = field(default_factory=list)
    seconds: float = 0

    def add(self, about: dict[str, Any], made: PipelineResult) -> None:
        """Print an image, or keep it for the JSON."""
        self.results.append(made)
        self.images.append({**about, **asdict(made)})
        if not self.options.as_json:
            for path in made.files:
                print(printable(path), flush=True)

    def end(self, names: Sequence[str] = ()) -> None:
        """Print a table of the images, and how long it took."""
        summary.show(self.results, names, self.seconds, sys.stderr)

    def __enter__(self) -> "_Report":
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if not self.options.as_json:
            return
        document: dict[str, Any] = {"success": error is None, "images": self.images, "error": None, "errors": []}
        document["seconds"] = self.seconds
        if isinstance(error, ComposeError):
            document["error"] = {"message": error.brief, "details": list(error.details), "hint": error.hint}
            document["errors"] = [as_data(one) for one in error.each()]
        print(json.dumps(document, indent=2, sort_keys=True))
