"""The Python API when it is given what it cannot use."""

from pathlib import Path

import pytest

from osbuild_compose.blueprint.formats import Format
from osbuild_compose.errors import InputError
from osbuild_compose.project import Project

TEXT = "name: web\ndistro: debian-12\n"


def test_a_text_with_an_unpaired_surrogate_is_a_problem_with_its_place() -> None:
    (problem,) = Project().problems("name: \ud800\n")
    assert problem.location
    assert (problem.location.line, problem.location.column) == (1, 7)


def test_formats_can_be_given_by_their_names() -> None:
    project = Project()
    blueprint = project.load_text(TEXT)
    image = project.image(blueprint, ["raw"])  # type: ignore[list-item]
    assert image.formats == (Format.RAW,)
    with pytest.raises(InputError, match="floppy"):
        project.image(blueprint, ["floppy"])  # type: ignore[list-item]


def test_a_build_of_no_images_makes_none(tmp_path: Path) -> None:
    assert Project().build([], tmp_path) == []
