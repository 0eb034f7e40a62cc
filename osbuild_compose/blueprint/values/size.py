"""Parses sizes such as "4 GiB"."""

import re
from fractions import Fraction

from osbuild_compose.problem import InvalidValueError

SECTOR = 512
MIB = 1024**2
GIB = 1024**3

_UNITS = {
    "B": 1,
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", 1)},
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("kMGT", 1)},
    "KB": 1000,
    # As truncate(1), qemu-img(1), lvcreate(8) and systemd have them.
    **{letter: 1024**power for power, prefix in enumerate("KMGT", 1) for letter in (prefix, prefix.lower())},
}


def parse(size: int | str) -> int:
    """A disk's size in bytes, a whole number of sectors, in the forms of to_bytes().

    Raises InvalidValueError also for what no disk can have.
    """
    size = rounded_up(to_bytes(size), SECTOR)
    if not MIB <= size <= 64 * 1024**4:
        raise InvalidValueError(f"{size} bytes is not a disk's size; it is between 1 MiB and 64 TiB")
    return size


def rounded_up(size: int, unit: int) -> int:
    """The size, or the next multiple of `unit`: 500 MB, for one, is no whole number of sectors."""
    return -(-size // unit) * unit


def to_bytes(size: int | str) -> int:
    """The size in bytes: a number is bytes already, a text is a number and a unit ("4 GiB", "1.5 TB").

    A fraction of a byte, as in "0.3 GiB", counts as a whole one. Raises InvalidValueError, a ValueError, for what is
    not a size.
    """
    if isinstance(size, str):
        match = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]*)\s*", size, re.ASCII)
        if match is None:
            raise InvalidValueError(f'"{size}" is not a size; write a number and a unit, such as 4 GiB')
        number, unit = match.groups()
        if unit and unit not in _UNITS:
            letter = unit[0].upper()
            better = f"; did you mean {number} {letter}iB or {number} {letter}B?" if letter in "KMGT" else ""
            raise InvalidValueError(f'"{unit}" is not a unit (KiB, MiB, GiB, TiB; kB, MB, GB, TB){better}')
        if not unit:
            raise InvalidValueError(f'"{size}" lacks its unit; write for example {number} GiB, or bytes without quotes')
        exact: Fraction = Fraction(number) * _UNITS[unit]  # few decimals are floats
        return -(-exact.numerator // exact.denominator)
    return size
