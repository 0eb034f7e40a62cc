"""Times as systemd.time(7) has them: calendar events."""

import re

_WORDS = frozenset(
    ("minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "semiannually", "yearly", "annually")
)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FULL_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ZONE = re.compile(r"UTC|[A-Z][A-Za-z_]+(/[A-Za-z0-9_+-]+)+")
_DATE = re.compile(r"(?:(?P<year>[^-~]+)-)?(?P<month>[^-~]+)[-~](?P<day>[^-~]+)")
_TIME = re.compile(r"(?P<hour>[^:]+):(?P<minute>[^:]+)(?::(?P<second>[^:]+))?")
_ITEM = re.compile(r"(?:\*|(?P<first>[\d.]+?)(?:\.\.(?P<last>[\d.]+))?)(?:/(?P<step>[\d.]+))?", re.ASCII)
# What a part is called, its lowest and its highest number.
_PARTS = {
    "year": (0, 2199),
    "month": (1, 12),
    "day": (1, 31),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 59),
}


def problem(schedule: str) -> str:
    """What is wrong with a calendar event, "" if nothing.

    systemd starts a timer that has a wrong one without ever running it, and tells the journal only.
    """
    words = schedule.split()
    if len(words) > 1 and _ZONE.fullmatch(words[-1]):
        words.pop()
    if len(words) == 1 and words[0].lower() in _WORDS:
        return ""
    if words and words[0][0].isalpha() and (wrong := _weekdays(words.pop(0))):
        return wrong
    for form in (_DATE, _TIME):
        if words and (match := form.fullmatch(words[0])):
            words.pop(0)
            for name, text in match.groupdict().items():
                if text is not None and (wrong := _part(name, text)):
                    return wrong
    return f"{words[0]} is neither a date such as *-*-01 nor a time such as 03:00" if words else ""


def _weekdays(text: str) -> str:
    for item in filter(None, text.lower().split(",")):
        for day in item.split("..") if ".." in item else item.split("-"):
            if day not in _DAYS and day not in _FULL_DAYS:
                return f"{day} is not a day of the week, nor one of: {', '.join(sorted(_WORDS))}"
    return ""


def _part(name: str, text: str) -> str:
    lowest, highest = _PARTS[name]
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if match is None or not _in_range(match, name, lowest, highest):
            return f"{item or 'nothing'} is not {'an' if name == 'hour' else 'a'} {name} from {lowest} to {highest}"
    return ""


def _in_range(match: re.Match[str], name: str, lowest: int, highest: int) -> bool:
    try:
        numbers = [_number(text, name) for text in (match["first"], match["last"]) if text is not None]
        step = _number(match["step"], name) if match["step"] is not None else 1
    except ValueError:
        return False
    return step > 0 and numbers == sorted(numbers) and all(lowest <= number <= highest for number in numbers)


def _number(text: str, name: str) -> float:
    """The number; only seconds have fractions. Raises ValueError for what is none."""
    return float(text) if name == "second" else int(text)
