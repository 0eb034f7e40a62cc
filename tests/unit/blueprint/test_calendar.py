"""Calendar events of systemd.time(7), as systemd-analyze takes or refuses them."""

import pytest

from osbuild_compose.blueprint.values import calendar


@pytest.mark.parametrize(
    "schedule",
    [
        *(
            "daily",
            "Weekly",
            "daily UTC",
            "Sat",
            "Mon,Wed..Fri",
            "Mon-Fri 08:00",
            "Thursday,Friday 2012-*-1,5 11:12:13",
        ),
        *("*-*-01", "05-08 05:40", "*:0/15", "*-*~03", "*-*-* 03:00 Europe/Prague", "2003-03-05 05:40:23.42"),
        *("*-2,4-1..3/2 *:*:00", "Mon", "Fri 12-*-* 00:00:00 UTC", "*:*:3.33/10.05"),
    ],
)
def test_right(schedule: str) -> None:
    assert calendar.problem(schedule) == ""


@pytest.mark.parametrize(
    ("schedule", "wrong"),
    [
        ("sometimes", "sometimes is not a day of the week"),
        ("Mon,Xyz 03:00", "xyz is not a day of the week"),
        ("Mon at 3", "at is neither a date such as"),
        ("25:00", "25 is not an hour from 0 to 23"),
        ("03:60", "60 is not a minute from 0 to 59"),
        ("*-13-01", "13 is not a month from 1 to 12"),
        ("*-*-5..3", "5..3 is not a day from 1 to 31"),
        ("*:0/0", "0/0 is not a minute"),
        ("*:1.5", "1.5 is not a minute"),
        ("03:00 *-*-*", "*-*-* is neither"),
        ("3", "3 is neither"),
    ],
)
def test_wrong(schedule: str, wrong: str) -> None:
    assert calendar.problem(schedule).startswith(wrong)
