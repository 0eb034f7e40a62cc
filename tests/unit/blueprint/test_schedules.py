"""Schedules: calendar events as systemd-analyze accepts or rejects them, and the five fields of cron."""

import pytest

from osbuild_compose.blueprint.values import schedules


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
def test_valid_calendar_events(schedule: str) -> None:
    assert list(schedules.calendar_problems(schedule)) == []


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
def test_invalid_calendar_events(schedule: str, wrong: str) -> None:
    (problem,) = schedules.calendar_problems(schedule)
    assert problem.brief.startswith(f"`schedule`: {wrong}")
    assert "systemd.time(7)" in problem.hint


@pytest.mark.parametrize(
    "schedule", ["* * * * *", "*/5 0-23/2 1,15 jan-Mar 7", "0 0 31 12 sun", "59 23 * * 0,6", "@reboot", "5/15 * * * *"]
)
def test_valid_cron_schedules(schedule: str) -> None:
    assert list(schedules.cron_problems(schedule)) == []


@pytest.mark.parametrize(
    ("schedule", "wrong"),
    [
        ("1,60 3 * * *", "60 is not a minute from 0 to 59"),
        ("1, 3 * * *", "nothing is not a minute"),
        ("0 24 * * *", "24 is not an hour from 0 to 23"),
        ("0 0 0 * *", "0 is not a day of month from 1 to 31"),
        ("0 0 L * *", "L is not a day of month"),
        ("0 0 lw * *", "lw is not a day of month"),
        ("0 0 * * 5L", "5L is not a day of week"),
        ("0 0 * * 1#2", "1#2 is not a day of week from 0 to 7"),
        ("0 0 * * 8", "8 is not a day of week"),
        ("0 0 31 2,4 *", "no month of 2,4 has a day 31"),
    ],
)
def test_invalid_cron_schedules(schedule: str, wrong: str) -> None:
    (problem,) = schedules.cron_problems(schedule)
    assert problem.brief.startswith(f"`schedule`: {wrong}")
    assert "crontab(5)" in problem.hint
