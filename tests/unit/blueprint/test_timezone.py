"""Names of time zones."""

import pytest

from osbuild_compose.blueprint.values import timezone


@pytest.mark.parametrize("zone", ["Europe/Prague", "UTC", "US/Eastern", "right/Europe/Kiev", "posix/Asia/Tokyo"])
def test_known(zone: str) -> None:
    assert timezone.problem(zone) == ("", "")


def test_unknown() -> None:
    wrong = 'there is no time zone "Europe/Pragu"'
    assert timezone.problem("Europe/Pragu") == (wrong, "did you mean `Europe/Prague`?")


def test_a_directory_is_no_zone() -> None:
    assert timezone.problem("Europe")[0]
