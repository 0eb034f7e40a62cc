"""`compose build` and `compose run`: pipelines to images."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osbuild_compose.blueprint.model import Format
from osbuild_compose.cli import runner
from osbuild_compose.cli.prepare import Workshop
from osbuild_compose.cli.runner import Settings
from osbuild_compose.errors import ComposeError, InputError
from osbuild_compose.report.events import Result
from osbuild_compose.report.progress import display, duration


@dataclass(frozen=True)
class How:
    """Where the images go, where the runner works, and what is shown."""

    directory: Path
    settings: Settings
    as_json: bool = False
    verbose: bool = False


def build(workshop: Workshop, blueprints: Sequence[Path], formats: Sequence[str], how: How) -> None:
    """Make all images, one after the other; stop at the first that fails. Raises ComposeError."""
    images = workshop.images(blueprints, [Format(name) for name in formats])
    made: list[dict[str, Any]] = []
    with _as_json(how.as_json, made):
        for image in images:
            if len(images) > 1:
                print(f"{image.filename}:", file=sys.stderr)
            result = _run(image.pipeline, how)
            made.append({"blueprint": image.blueprint.name, "format": str(image.format), **_fields(result)})
            if not how.as_json:
                _print_files(result)


def run(pipeline: str, how: How) -> None:
    """Run the pipeline in a file, or on standard input for "-". Raises ComposeError."""
    try:
        content = sys.stdin.buffer.read() if pipeline == "-" else Path(pipeline).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {pipeline}: {error.strerror}") from None
    made: list[dict[str, Any]] = []
    with _as_json(how.as_json, made):
        result = _run(content, how)
        made.append(_fields(result))
        if not how.as_json:
            _print_files(result)


def _run(pipeline: bytes, how: How) -> Result:
    try:
        how.directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the directory {how.directory}: {error.strerror}") from None
    screen = display(sys.stderr, verbose=how.verbose)
    try:
        result = runner.build(pipeline, how.directory.absolute(), how.settings, screen.show)
    finally:
        screen.close()
    print(f"done in {duration(result.seconds)}", file=sys.stderr)
    return result


def _print_files(result: Result) -> None:
    for file in result.files:
        print(file, flush=True)


def _fields(result: Result) -> dict[str, Any]:
    return {
        "tree_id": result.tree_id,
        "output_id": result.output_id,
        "files": list(result.files),
        "seconds": result.seconds,
    }


class _as_json:  # noqa: N801 - reads as a statement
    """Prints one JSON object at the end, also when it ends with an error: {"success", "images", "error"}."""

    def __init__(self, wanted: bool, images: list[dict[str, Any]]) -> None:
        self._wanted = wanted
        self._images = images

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if not self._wanted:
            return
        document: dict[str, Any] = {"success": error is None, "images": self._images, "error": None}
        if isinstance(error, ComposeError):
            document["error"] = {"message": error.brief, "details": list(error.details), "hint": error.hint}
        print(json.dumps(document, indent=2, sort_keys=True))
