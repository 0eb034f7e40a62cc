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
}


def parse(size: int | str) -> int:
    """A disk's size in bytes, in the forms of to_bytes(). Raises InvalidValueError also for what no disk can have."""
    size = to_bytes(size)
    if not MIB <= size <= 64 * 1024**4:
        raise InvalidValueError(f"{size} bytes is not a disk's size; it is between 1 MiB and 64 TiB")
    if size % SECTOR:
        raise InvalidValueError(
            f"{size} bytes is not a multiple of {SECTOR}; the next one is {size // SECTOR * SECTOR + SECTOR}"
        )
    return size


def to_bytes(size: int | str) -> int:
    """The size in bytes: a number is bytes already, a text is a number and a unit ("4 GiB", "1.5 TB").

    Raises InvalidValueError, a ValueError, for what is not a size.
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
        bytes_ = Fraction(number) * _UNITS[unit]  # exactly: few decimals are floats
        if bytes_ != int(bytes_):
            raise InvalidValueError(f'"{size}" is not a whole number of bytes')
        size = int(bytes_)
    return size
