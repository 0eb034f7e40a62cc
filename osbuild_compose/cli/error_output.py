"""Errors and warnings of commands: warnings on standard error, errors with --json on standard output, too."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from osbuild_compose.blueprint.model import Blueprint
from osbuild_compose.errors import ComposeError
from osbuild_compose.problem import Problem
from osbuild_compose.project import Project
from osbuild_compose.report import error_text


@contextmanager
def errors_as_json(wanted: bool) -> Iterator[None]:
    """Print an error that is raised in this context to standard output, if wanted: {"success", "errors"}."""
    try:
        yield
    except ComposeError as error:
        if wanted:
            each = [error_text.as_data(one) for one in error.each()]
            print(json.dumps({"success": False, "errors": each}, indent=2, sort_keys=True), flush=True)
        raise


def warn(problem: Problem) -> None:
    """Print a warning."""
    error_text.warn(problem, sys.stderr)


def load(project: Project, path: Path) -> Blueprint:
    """The blueprint in a file; its warnings are printed. Raises InputError."""
    blueprint = project.load(path)
    for warning in blueprint.warnings:
        warn(warning)
    return blueprint
