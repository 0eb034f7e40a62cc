"""What else can be said of a file that is not YAML: each of its top keys is looked at alone.

A key of the top begins a line. What stands from there to the next one is a part; a part that is no YAML has an error of
its own, and the others can be checked as if it were not there.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import Node

from osbuild_compose.document import yaml_errors

Compose = Callable[[str], Node | None]  # ruamel.yaml's parser

MAX_PARTS = 100  # a blueprint has fewer keys; looking at more, or larger ones, would take long
MAX_CHARACTERS = 64 * 1024
MAX_JOINED = 8  # parts that are tried as one
_AROUND = "_: 0"  # the parts before and after the one that is looked at
_NOT_A_START = tuple(" \t#-]}),")


@dataclass(frozen=True)
class Recovered:
    """errors are those of the parts, each the first of its part; text is the file without these parts, its lines where
    they were, and None when that is no YAML either.
    """

    errors: tuple[MarkedYAMLError, ...]
    text: str | None


def recover(lines: Sequence[str], error: MarkedYAMLError, compose: Compose) -> Recovered:
    """What is wrong with the parts of the file with these lines, which has the error as a whole."""
    starts = [number for number, line in enumerate(lines) if line.strip() and not line.startswith(_NOT_A_START)]
    while starts and lines[starts[0]].startswith(("---", "%")):
        del starts[0]
    alone = Recovered((error,), None)
    few = 1 < len(starts) <= MAX_PARTS and sum(map(len, lines)) <= MAX_CHARACTERS
    if not few or ": " not in lines[starts[0]] + " " or str(error.problem).startswith(yaml_errors.OF_THE_WHOLE):
        return alone
    parts = list(zip(starts, [*starts[1:], len(lines)], strict=True))
    errors: list[MarkedYAMLError] = []
    left = list(lines)
    number = 0
    stray = open_text = False
    while number < len(parts) and not (open_text and errors):
        begin, end = parts[number]
        wrong, until = _first_error(lines, parts, number, compose)
        if wrong:
            left[begin:end] = [""] * (end - begin)
            if not (stray and _is_stray(wrong)):  # lines that belong together are told once
                errors.append(wrong)
        stray = wrong is not None and _is_stray(wrong)
        if _begins_text(lines[begin:end]):
            # The text that should be indented below is not: nobody knows where it ends.
            open_text = True
            left[end:] = [""] * (len(left) - end)
        number = until
    rest = "\n".join(left)
    try:
        compose(rest)
    except MarkedYAMLError as other:
        # Either nothing is wrong with any part alone, or an anchor went with the part that has it.
        return Recovered(tuple(errors), None) if errors else Recovered((other,), None)
    except (YAMLError, ValueError, RecursionError):
        return Recovered(tuple(errors), None) if errors else alone
    return Recovered(tuple(errors) or (error,), rest)


def _is_stray(error: MarkedYAMLError) -> bool:
    """Whether it is a line of text where a key should be."""
    return str(error.problem).startswith("could not find expected ':'")


def _begins_text(part: Sequence[str]) -> bool:
    """Whether the part ends in the begin of a text of several lines, with none of them below it."""
    last = next(line for line in reversed(part) if line.strip())
    return re.search(r"(^|[\s:-])[|>][-+1-9]*\s*(#.*)?$", last) is not None


def _first_error(
    lines: Sequence[str], parts: list[tuple[int, int]], number: int, compose: Compose
) -> tuple[MarkedYAMLError | None, int]:
    """What is wrong with a part, if anything, and the number of the part to go on with.

    What seems to be the next part may be inside of quotes or brackets: together they are YAML then.
    """
    begin = parts[number][0]
    first: MarkedYAMLError | None = None
    for until in range(number, min(number + MAX_JOINED, len(parts))):
        wrong = _error(lines, begin, parts[until][1], compose)
        if wrong is None:
            return None, until + 1
        first = first or wrong
    return first, number + 1


def _error(lines: Sequence[str], begin: int, end: int, compose: Compose) -> MarkedYAMLError | None:
    before = [""] * (begin - 1) + [_AROUND] if begin else []
    try:
        compose("\n".join([*before, *lines[begin:end], _AROUND]))
    except MarkedYAMLError as error:
        return None if "undefined alias" in str(error.problem) else error  # its anchor may be in another part
    except (YAMLError, ValueError, RecursionError):
        pass  # told of the whole
    return None
