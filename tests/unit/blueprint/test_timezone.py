"""Names of time zones."""

import pytest

from osbuild_compose.blueprint.checks.system import timezone_problems


@pytest.mark.parametrize("zone", ["Europe/Prague", "UTC", "US/Eastern", "right/Europe/Kiev", "posix/Asia/Tokyo"])
def test_known(zone: str) -> None:
    assert list(timezone_problems(zone)) == []


def test_unknown() -> None:
    (problem,) = timezone_problems("Europe/Pragu")
    assert problem.brief == '`timezone`: there is no time zone "Europe/Pragu"'
    assert problem.hint == "did you mean `Europe/Prague`?"


def test_a_directory_is_not_a_zone() -> None:
    assert list(timezone_problems("Europe"))
