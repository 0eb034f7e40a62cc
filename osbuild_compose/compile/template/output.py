"""Reads the YAML that a template renders.

Almost all values in it are JSON on one line, which Python's own reader decodes about ten times as fast as a YAML
reader does. They are replaced by short placeholders before the rest is read as YAML. Anything unusual makes this fall
back to reading the whole text as YAML, which alone decides what is valid and how errors are worded.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import ScalarNode

from osbuild_compose.document.node import Trail
from osbuild_compose.document.reader import BoundedComposer
from osbuild_compose.problem import Problem

_MARK = "\ue000"  # for private use: neither YAML nor Jinja gives it a meaning
_PLACEHOLDER = re.compile(f"{_MARK}([0-9]+){_MARK}")
# Where a value begins in block and in flow style.
_BEFORE_VALUE = re.compile(r'(?:[:,-] |\[)(?=["\[{])')
# JSON that YAML may read differently or not at all: halves of surrogate pairs, and a colon without a space.
_DIFFERENT = re.compile(r'\\u[dD][89a-fA-F]|":(?! )')


MAX_DEPTH = 100  # levels; the runner takes a few more
MAX_VALUES = 1_000_000
MAX_INTEGER = 2**64 - 1
_SURROGATE = re.compile("[\ud800-\udfff]")


class _Composer(BoundedComposer):
    max_depth = MAX_DEPTH
    max_values = MAX_VALUES


class _UnusualError(ValueError):
    """Something that only a YAML reader decides on."""


def load(text: str) -> Any:
    """The data in the text. Raises YAMLError, ValueError or TypeError for what is not YAML."""
    short, replaced = _shortened(text)
    if replaced:
        try:
            return _reader(replaced).load(short)
        except (YAMLError, ValueError, TypeError):
            pass  # parsing the whole text reports any error
    return _reader({}).load(text)


def problem(data: Any) -> Problem | None:
    """What in the data cannot be in a pipeline, with its trail: values that JSON does not have, or too many."""
    todo: list[tuple[Any, Trail]] = [(data, ())]
    count = 0
    while todo:
        value, trail = todo.pop()
        count += 1
        if count > MAX_VALUES:
            return Problem((), f"the output has more than {MAX_VALUES:,} values")
        if len(trail) > MAX_DEPTH:
            return Problem(trail[:MAX_DEPTH], f"the output is nested deeper than {MAX_DEPTH} levels")
        if brief := _wrong(value):
            return Problem(trail, brief, "write it in quotes" if isinstance(value, date) else "")
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str) or _wrong(key):
                    return Problem(trail, f"{key!r:.100} cannot be a key", "write it in quotes")
            todo += [(item, (*trail, key)) for key, item in reversed(value.items())]
        elif isinstance(value, list):
            todo += [(item, (*trail, index)) for index, item in reversed(list(enumerate(value)))]
    return None


def _wrong(value: Any) -> str:
    """Why the value cannot be in a pipeline; "" if it can."""
    match value:
        case None | bool() | dict() | list():
            return ""
        case str():
            return "" if value.isascii() or not _SURROGATE.search(value) else "half of a surrogate pair is no character"
        case int():
            return "" if abs(value) <= MAX_INTEGER else "the number does not fit into 64 bits"
        case float():
            return "" if math.isfinite(value) else f"{value} is not a number of JSON"
        case date():
            return f"a date cannot be in a pipeline: {value}"
    return f"a {type(value).__name__} cannot be in a pipeline"


def _shortened(text: str) -> tuple[str, dict[str, str]]:
    """The text with placeholders in place of its JSON values, and the values by their placeholders."""
    if _MARK in text:
        return text, {}
    parts: list[str] = []
    replaced: dict[str, str] = {}
    end = position = 0
    while match := _BEFORE_VALUE.search(text, position):
        start = position = match.end()
        try:
            _, after = _decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        value = text[start:after]
        if not value.isascii() or not value.isprintable() or _DIFFERENT.search(value):
            continue
        placeholder = f"{_MARK}{len(replaced)}{_MARK}"
        replaced[placeholder] = value
        parts += [text[end:start], placeholder]
        end = position = after
    return "".join([*parts, text[end:]]), replaced


def _unusual(text: str) -> Any:
    raise _UnusualError(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else _unusual("a key twice")


# The floats of JSON are not all floats in YAML.
_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_float=_unusual, parse_constant=_unusual)


def _reader(replaced: Mapping[str, str]) -> YAML:
    class Constructor(SafeConstructor):
        """Puts the values back: as data where a placeholder is a whole scalar, as text in a block of text."""

        def construct_scalar(self, node: ScalarNode) -> Any:
            value = super().construct_scalar(node)
            if _MARK not in node.value or not replaced:
                return value
            if node.style in ("|", ">"):
                return _PLACEHOLDER.sub(lambda match: replaced[match[0]], value)
            if node.style is None and value in replaced:
                return _decoder.decode(replaced[value])
            return _unusual(value)

    yaml = YAML(typ="safe", pure=True)
    yaml.Constructor = Constructor
    yaml.Composer = _Composer
    return yaml
