"""The schema for editors on operators that change inherited lists."""

import pytest
from jsonschema import Draft7Validator, ValidationError

from osbuild_compose.document.composition.list_operators import is_list, with_changes
from osbuild_compose.document.schema import schema_files

EDITORS = schema_files.published("blueprint")


@pytest.mark.parametrize(
    "blueprint",
    [
        {"packages": ["a"]},
        {"packages": {"append": ["a"], "remove": ["b"]}},
        {"services": {"enabled": {"replace": []}}},
        {"users": [{"name": "a", "groups": {"append": ["b"]}}]},
        {"users": {"remove": ["a"]}},
        {"profiles": {"dev": {"packages": {"append": ["gdb"]}}}},
    ],
)
def test_valid(blueprint: object) -> None:
    Draft7Validator(EDITORS).validate(blueprint)


@pytest.mark.parametrize(
    "blueprint",
    [
        {"packages": {}},
        {"packages": {"add": ["a"]}},
        {"packages": {"append": "a"}},
        {"packages": "a"},
        {"unset": {"append": ["a"]}},
        {"extends": {"append": ["a"]}},
        {"profiles": {"dev": {"pakages": []}}},
    ],
)
def test_invalid(blueprint: object) -> None:
    with pytest.raises(ValidationError):
        Draft7Validator(EDITORS).validate(blueprint)


def test_it_is_a_schema_and_adding_operators_again_changes_nothing() -> None:
    Draft7Validator.check_schema(EDITORS)
    assert with_changes(EDITORS) == EDITORS
    assert is_list(EDITORS["properties"]["packages"])
    assert not is_list(schema_files.load("blueprint")["properties"]["hostname"])
