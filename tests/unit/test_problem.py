"""Problems: how they are moved, located, ordered and raised."""

from osbuild_compose.document import reader
from osbuild_compose.errors import DocumentError, InputError
from osbuild_compose.problem import InvalidValueError, Problem, Severity, as_error, in_order, within

DOCUMENT = reader.parse(b"name: web\nusers:\n  - name: admin\n    uid: 5\n", "web.yaml")


def test_a_problem_is_located_at_its_value_or_its_key() -> None:
    problem = Problem(("name",), "is wrong").within("users", 0)
    assert str(problem.located(DOCUMENT).location) == "web.yaml:3:11"
    assert str(Problem(("users", 0, "name"), "is wrong", at_key=True).located(DOCUMENT).location) == "web.yaml:3:5"


def test_a_value_that_is_missing_is_located_at_what_is_around_it() -> None:
    assert str(Problem(("users", 0, "shell"), "is missing").located(DOCUMENT).location) == "web.yaml:3:5"


def test_a_location_or_reference_of_its_own_is_kept() -> None:
    location = DOCUMENT.at_value(("name",))
    problem = Problem(("users",), "is wrong", reference="page", location=location).located(DOCUMENT)
    assert (problem.location, problem.reference) == (location, "page")
    assert Problem(("users",), "is wrong").located(DOCUMENT).reference == "docs/reference/blueprint.md#users"
    assert Problem(("users",), "is wrong").located(None).location is None


def test_the_exception_has_all_fields() -> None:
    problem = Problem(("users", 0, "uid"), "is wrong", "a hint", expected="a number", suggestion="6").located(DOCUMENT)
    error = problem.error()
    assert str(error) == "web.yaml:4:10: is wrong"
    assert (error.path, error.hint, error.expected, error.suggestion) == ("users.0.uid", "a hint", "a number", "6")


def test_several_problems_are_one_exception() -> None:
    first, second = (Problem((key,), f"{key} is wrong").located(DOCUMENT) for key in ("name", "users"))
    one, both = as_error([first]), as_error([second, first])
    assert type(one) is InputError
    assert isinstance(both, DocumentError)
    assert [error.brief for error in both.each()] == ["name is wrong", "users is wrong"]
    assert in_order([second, first]) == [first, second]


def test_problems_of_a_part_are_moved_to_the_whole() -> None:
    warning = Problem((), "is odd", severity=Severity.WARNING)
    assert list(within(("users", 0), [warning])) == [Problem(("users", 0), "is odd", severity=Severity.WARNING)]


def test_an_invalid_value_is_a_value_error_with_a_problem() -> None:
    error = InvalidValueError("is no size", "write 4 GiB")
    assert isinstance(error, ValueError)
    assert (str(error), error.problem) == ("is no size", Problem((), "is no size", "write 4 GiB"))
