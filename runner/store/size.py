"""Sizes as people write them, such as 10G."""

from runner.errors import input_error

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_size(text: str) -> int:
    """Bytes from a number with a unit K, M, G or T (of 1024), with or without iB. Raises RunnerError (input)."""
    number = text.strip().removesuffix("iB").removesuffix("B").strip()
    unit = number[-1:].upper() if number[-1:].isalpha() else ""
    try:
        return int(float(number.removesuffix(number[-1:]) if unit else number) * UNITS[unit])
    except (ValueError, KeyError):
        raise input_error(f"{text!r} is not a size", hint="for instance 10G or 500 MiB") from None
