"""Reading JSON documents strictly: duplicate keys, unknown keys and wrong types are errors that name their path."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.errors import RunnerError, input_error


def decode(text: str | bytes, origin: str = "pipeline") -> Any:
    """The document in a JSON text; origin names it in messages.

    Raises RunnerError (input) for text that is not JSON, or that gives a key twice in one object.
    """
    try:
        document = json.loads(text, object_pairs_hook=_mark_duplicates)
        for path, value in _values(document):
            if isinstance(value, _Duplicate):
                raise wrong(path, "this key is given twice")
        return document
    except json.JSONDecodeError as error:
        raise input_error(
            f"{origin}:{error.lineno}:{error.colno}: not JSON: {error.msg}",
            hint="a pipeline is a JSON document; `compose render` makes one from a blueprint",
        ) from None
    except UnicodeDecodeError as error:
        raise input_error(f"{origin}: not UTF-8 text (byte {error.start})") from None
    except RecursionError:
        raise input_error(f"{origin}: nested too deeply") from None


class _Duplicate:
    """Replaces the value of a key that an object has twice."""


def _mark_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        seen[key] = _Duplicate() if key in seen else value
    return seen


def _values(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in a document, with its path."""
    yield path, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _values(item, join(path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _values(item, f"{path}[{number}]")


def mapping(value: Any, path: str) -> Mapping[str, Any]:
    """The value, which must be an object. Raises RunnerError (input)."""
    if not isinstance(value, dict):
        raise wrong(path, f"expected an object, found {kind_of(value)}")
    return value


def sequence(value: Any, path: str) -> Sequence[Any]:
    """The value, which must be a list. Raises RunnerError (input)."""
    if not isinstance(value, list):
        raise wrong(path, f"expected a list, found {kind_of(value)}")
    return value


def text(value: Any, path: str) -> str:
    """The value, which must be text. Raises RunnerError (input)."""
    if not isinstance(value, str):
        raise wrong(path, f"expected text, found {kind_of(value)}")
    return value


def only_keys(fields: Mapping[str, Any], known: Sequence[str], path: str) -> None:
    """Raise RunnerError (input) if an object at `path` has a key that is not known there."""
    for key in fields:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean `{near[0]}`?" if near else "known here: " + ", ".join(known)
            raise wrong(join(path, key), "unknown key", hint)


def is_id(value: Any) -> bool:
    """Whether a value has the form of osbuild's ids."""
    return isinstance(value, str) and len(value) == 64 and all(c in "0123456789abcdef" for c in value)


def kind_of(value: Any) -> str:
    """The name of a value's type in messages."""
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return "null" if value is None else names.get(type(value), type(value).__name__)


def join(path: str, key: str) -> str:
    """The path of a key in the object at `path`."""
    return f"{path}.{key}" if path else key


def wrong(path: str, message: str, hint: str = "") -> RunnerError:
    """The error for a mistake at `path`."""
    return input_error(f"{path or 'pipeline'}: {message}", hint)
