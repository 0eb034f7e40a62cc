"""Schedules of timers and cron jobs: calendar events of systemd.time(7), and the five fields of crontab(5)."""

import re
from collections.abc import Iterator
from datetime import datetime

from osbuild_compose.problem import Problem

_WORDS = frozenset(
    ("minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "semiannually", "yearly", "annually")
)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FULL_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ZONE = re.compile(r"UTC|[A-Z][A-Za-z_]+(/[A-Za-z0-9_+-]+)+")
_DATE = re.compile(r"(?:(?P<year>[^-~]+)-)?(?P<month>[^-~]+)[-~](?P<day>[^-~]+)")
_TIME = re.compile(r"(?P<hour>[^:]+):(?P<minute>[^:]+)(?::(?P<second>[^:]+))?")
_ITEM = re.compile(r"(?:\*|(?P<first>[\d.]+?)(?:\.\.(?P<last>[\d.]+))?)(?:/(?P<step>[\d.]+))?", re.ASCII)
# The parts of a date and a time, each with its lowest and highest number.
_PARTS = {
    "year": (0, 2199),
    "month": (1, 12),
    "day": (1, 31),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 59),
}

_CRON_FIELDS = {
    "minute": (0, 59),
    "hour": (0, 23),
    "day of month": (1, 31),
    "month": (1, 12),
    "day of week": (0, 7),
}
_CRON_EXTENSION = re.compile(r"\d*LW?|.*#.*", re.IGNORECASE)  # cronsim supports them, our distributions' cron does not
_ANY_TIME = datetime(2000, 1, 1)


def cron_problems(schedule: str) -> Iterator[Problem]:
    """What is wrong with the five fields of a cron job's `schedule`; @daily and the like are the schema's to check.

    cron itself ignores a file with a wrong line, without an error.
    """
    texts = schedule.split()
    if schedule.startswith("@") or len(texts) != len(_CRON_FIELDS):
        return
    hint = "minute, hour, day of month, month and day of week; see crontab(5)"
    for position, (name, (lowest, highest)) in enumerate(_CRON_FIELDS.items()):
        for item in texts[position].split(","):
            fields = ["*"] * len(texts)
            fields[position] = item
            if _CRON_EXTENSION.fullmatch(item) or not _is_cron(fields):
                yield Problem((), f"`schedule`: {_not_a(item, name, lowest, highest)}", hint)
                return
    if not _is_cron(texts):
        yield Problem((), f"`schedule`: no month of {texts[3]} has a day {texts[2]}", hint)


def _is_cron(fields: list[str]) -> bool:
    from cronsim import CronSim, CronSimError  # noqa: PLC0415 - few blueprints need it

    try:
        CronSim(" ".join(fields), _ANY_TIME)
    except CronSimError:
        return False
    return True


def calendar_problems(schedule: str) -> Iterator[Problem]:
    """What is wrong with the calendar event that is a timer's `schedule`.

    systemd loads a timer with a wrong one but never runs it, and reports that in the journal only.
    """
    if fault := _calendar_fault(schedule):
        hint = "see systemd.time(7); `systemd-analyze calendar` explains a schedule"
        yield Problem((), f"`schedule`: {fault}", hint)


def _calendar_fault(schedule: str) -> str:
    words = schedule.split()
    if len(words) > 1 and _ZONE.fullmatch(words[-1]):
        words.pop()
    if len(words) == 1 and words[0].lower() in _WORDS:
        return ""
    if words and words[0][0].isalpha() and (fault := _weekdays_fault(words.pop(0))):
        return fault
    for form in (_DATE, _TIME):
        if words and (match := form.fullmatch(words[0])):
            words.pop(0)
            for name, text in match.groupdict().items():
                if text is not None and (fault := _part_fault(name, text)):
                    return fault
    return f"{words[0]} is neither a date such as *-*-01 nor a time such as 03:00" if words else ""


def _weekdays_fault(text: str) -> str:
    for item in filter(None, text.lower().split(",")):
        for day in item.split("..") if ".." in item else item.split("-"):
            if day not in _DAYS and day not in _FULL_DAYS:
                return f"{day} is not a day of the week, nor one of: {', '.join(sorted(_WORDS))}"
    return ""


def _part_fault(name: str, text: str) -> str:
    lowest, highest = _PARTS[name]
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if match is None or not _in_range(match, name, lowest, highest):
            return _not_a(item, name, lowest, highest)
    return ""


def _not_a(item: str, name: str, lowest: int, highest: int) -> str:
    return f"{item or 'nothing'} is not {'an' if name == 'hour' else 'a'} {name} from {lowest} to {highest}"


def _in_range(match: re.Match[str], name: str, lowest: int, highest: int) -> bool:
    try:
        numbers = [_number(text, name) for text in (match["first"], match["last"]) if text is not None]
        step = _number(match["step"], name) if match["step"] is not None else 1
    except ValueError:
        return False
    return step > 0 and numbers == sorted(numbers) and all(lowest <= number <= highest for number in numbers)


def _number(text: str, name: str) -> float:
    """The number; only seconds have fractions. Raises ValueError for what is not a number."""
    return float(text) if name == "second" else int(text)
