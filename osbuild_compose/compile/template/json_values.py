"""How a value gets into a rendered template: as JSON, which is YAML, so that no text can break out of its place."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from jinja2 import Undefined
from markupsafe import Markup

# YAML knows fewer characters than JSON does, and takes some for line ends; astral ones have an escape of their own.
_NOT_PLAIN = re.compile(r"[^\x20-\x7e]")


def plain(value: Any) -> Any:
    """The value in the types of JSON: dataclasses become mappings, enums their values, tuples lists.

    Raises TypeError for what has no such form (an object, a function).
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value) if field.repr}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [plain(item) for item in value]
    raise TypeError(f"a {type(value).__name__} cannot be in a pipeline")


def emit(value: Any) -> Any:
    """What Jinja writes for `{{ value }}`: JSON, marked as finished text.

    An undefined value stays one, so that Jinja reports it; what a block or macro rendered is finished already.
    """
    if isinstance(value, Undefined | Markup):
        return value
    json_text = _NOT_PLAIN.sub(_escape, json.dumps(plain(value), ensure_ascii=False, sort_keys=True, allow_nan=False))
    return Markup(json_text)  # noqa: S704 - no HTML here


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
