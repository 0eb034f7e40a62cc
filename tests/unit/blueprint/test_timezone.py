"""Names of time zones."""

import pytest

from osbuild_compose.blueprint.values import timezone


@pytest.mark.parametrize("zone", ["Europe/Prague", "UTC", "US/Eastern", "right/Europe/Kiev", "posix/Asia/Tokyo"])
def test_known(zone: str) -> None:
    assert list(timezone.problems(zone)) == []


def test_unknown() -> None:
    (problem,) = timezone.problems("Europe/Pragu")
    assert problem.brief == '`timezone`: there is no time zone "Europe/Pragu"'
    assert problem.hint == "did you mean `Europe/Prague`?"


def test_a_directory_is_not_a_zone() -> None:
    assert list(timezone.problems("Europe"))
