"""Names that a template uses and that are not there: told with what is there."""

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

from jinja2 import StrictUndefined
from jinja2.exceptions import UndefinedError
from jinja2.utils import missing

from osbuild_compose.document.suggest import did_you_mean


class Undefined(StrictUndefined):
    """Keeps what was looked for, and in what, for the message."""

    __slots__ = ()

    def __init__(
        self, hint: str | None = None, obj: Any = missing, name: str | None = None, exc: Any = UndefinedError
    ) -> None:
        super().__init__(hint, obj, name, exc)
        if exc is UndefinedError:
            self._undefined_exception = partial(_UndefinedHereError, obj, name)  # type: ignore[assignment]


class _UndefinedHereError(UndefinedError):
    def __init__(self, owner: Any, name: str | None, message: str | None) -> None:
        super().__init__(message)
        self.owner = owner
        self.name = name or ""


def explained(error: Exception, context: Mapping[str, Any]) -> tuple[str, str]:
    """What is wrong, and a hint."""
    if not isinstance(error, _UndefinedHereError):
        return str(error) or type(error).__name__, ""
    brief = re.sub(r"'[\w.]*\.(\w+ object')", r"'\1", str(error))
    if error.owner is missing:
        return brief, did_you_mean(error.name, context)
    if is_dataclass(error.owner):
        return brief, did_you_mean(error.name, [field.name for field in fields(error.owner) if field.repr])
    return brief, did_you_mean(error.name, map(str, error.owner)) if isinstance(error.owner, Mapping) else ""
