"""Times as crontab(5) has them."""

import re

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# What a field is called, its lowest and highest number, and the names of numbers from the lowest on.
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)
_ITEM = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?", re.ASCII)


def problem(schedule: str) -> str:
    """What is wrong with five fields of a crontab, "" if nothing; @daily and the like are not looked at.

    cron itself skips a file with a wrong line, and tells nobody.
    """
    texts = schedule.split(" ")
    if schedule.startswith("@") or len(texts) != len(_FIELDS):
        return ""
    for (name, lowest, highest, names), text in zip(_FIELDS, texts, strict=True):
        for item in text.split(","):
            match = _ITEM.fullmatch(item)
            if match is None or match["step"] == "0" or not _in_range(match, lowest, highest, names):
                return f"{item or 'nothing'} is not {'an' if name == 'hour' else 'a'} {name} from {lowest} to {highest}"
    return ""


def _in_range(match: re.Match[str], lowest: int, highest: int, names: tuple[str, ...]) -> bool:
    numbers = [lowest]
    for word in filter(None, (match["first"], match["last"])):
        if word.isdecimal():
            numbers.append(int(word))
        elif word.lower() in names:
            numbers.append(names.index(word.lower()) + lowest)
        else:
            return False
    return numbers[1:] == sorted(numbers[1:]) and all(lowest <= number <= highest for number in numbers)
