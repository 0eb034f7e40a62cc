"""Several projects that differ in their profiles: `--profile dev,prod` builds both."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from osbuild_compose.blueprint.formats import Format
from osbuild_compose.errors import DocumentError, InputError, as_one
from osbuild_compose.images import Image, with_distinct_names
from osbuild_compose.problem import Problem
from osbuild_compose.project import Project


def choices(options: Iterable[str]) -> list[tuple[str, ...]]:
    """The profiles of each variant, from the values of `--profile`.

    Several options are applied together; one with commas makes a variant of each: a, "b,c" are (a, b) and (a, c).
    Raises InputError for a name that is empty, or that one option has twice.
    """
    alternatives = [option.split(",") for option in options]
    for option, names in zip(options, alternatives, strict=True):
        if not all(names):
            raise InputError(f"--profile {option}: a name is missing", hint="for example: --profile dev,prod")
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InputError(f"--profile {option} has {twice} twice", hint="each makes an image: name it once")
    return list(itertools.product(*alternatives))


def images(
    projects: Sequence[Project],
    paths: Sequence[Path],
    formats: Sequence[Format] = (),
    *,
    embed_provenance: bool = True,
    on_warning: Callable[[Problem], None] = lambda _: None,
) -> list[Image]:
    """The images of all projects, as Project.images(); a warning or error that several have is given once."""
    warned: set[str] = set()

    def warn(problem: Problem) -> None:
        if str(problem) not in warned:
            warned.add(str(problem))
            on_warning(problem)

    made: list[Image] = []
    errors: dict[str, InputError] = {}
    for project in projects:
        of_one, wrong = project.images_and_errors(paths, formats, embed_provenance=embed_provenance, on_warning=warn)
        made += of_one
        errors |= {f"{error.location} {error.brief}": error for error in wrong}
    if errors:
        raise as_one([*errors.values()], DocumentError)
    return with_distinct_names(made)
