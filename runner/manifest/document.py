"""Reading JSON documents strictly: duplicate keys, unknown keys and wrong types are errors that name their path."""

import difflib
import errno
import json
import math
import os
import re
import stat
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

from runner.errors import RunnerError, input_error

MAX_DEPTH = 128  # levels; the recursive functions of this program and of its libraries stand that
MAX_INTEGER = 2**64 - 1
CONTENT = "content"  # the key of what a file contains: any other text becomes a name or an argument of a program
MAX_PATH = 200  # characters of a path in a message

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


def decode(text: str | bytes, origin: str = "pipeline") -> Any:
    """The document in a JSON text; origin names it in messages.

    Raises RunnerError (input) for text that is not JSON, and for what programs cannot take: a key twice in one object,
    numbers beyond 64 bits, NaN, halves of characters, NUL outside the content of files, more than MAX_DEPTH levels.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        document = json.loads(
            text,
            object_pairs_hook=_mark_duplicates,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=lambda name: _Refused(f"{name} is not a number of JSON"),
        )
    except json.JSONDecodeError as error:
        raise input_error(
            f"{origin}:{error.lineno}:{error.colno}: not JSON: {error.msg}",
            hint="a pipeline is a JSON document; `compose render` makes one from a blueprint",
        ) from None
    except UnicodeDecodeError as error:
        raise input_error(f"{origin}: not UTF-8 text (byte {error.start})") from None
    except RecursionError:
        raise wrong(_too_deep(str(text)), f"nested deeper than {MAX_DEPTH} levels") from None
    _check(document)
    return document


def open_file(path: str) -> BinaryIO:
    """The opened file, or a pipe from a shell (/dev/stdin, /dev/fd/63). Raises OSError, also for a named FIFO.

    Nothing tells whether somebody is going to write into a FIFO: reading it could wait for ever.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        kind = os.fstat(fd).st_mode
        if stat.S_ISFIFO(kind) and not os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:"):
            raise OSError(errno.EINVAL, "it is a FIFO")
        if stat.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        os.set_blocking(fd, True)
        return os.fdopen(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


class _Refused:
    """Replaces a value that is refused, until its path is known."""

    def __init__(self, reason: str) -> None:
        self.reason = reason


def _mark_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    seen: dict[str, Any] = {}
    for key, value in pairs:
        seen[key] = _Refused("this key is given twice") if key in seen else value
    return seen


def _integer(text: str) -> int | _Refused:
    if len(text) > 25 or abs(int(text)) > MAX_INTEGER:
        return _Refused("the number does not fit into 64 bits")
    return int(text)


def _float(text: str) -> float | _Refused:
    number = float(text)
    return number if math.isfinite(number) else _Refused("the number is too large")


def _check(document: Any) -> None:
    """Raise RunnerError (input) with the path of the first value that is refused."""
    todo: list[tuple[Any, str, int]] = [(document, "", 1)]
    while todo:
        value, path, depth = todo.pop()
        if isinstance(value, _Refused):
            raise wrong(path, value.reason)
        if isinstance(value, str):
            _check_text(value, path, may_be_binary=path.rpartition(".")[2] == CONTENT)
        elif isinstance(value, dict | list):
            if depth > MAX_DEPTH:
                raise wrong(path, f"nested deeper than {MAX_DEPTH} levels")
            if isinstance(value, dict):
                for key in value:
                    _check_text(key, join(path, key), may_be_binary=False)
                below = [(item, join(path, key), depth + 1) for key, item in value.items()]
            else:
                below = [(item, f"{path}[{number}]", depth + 1) for number, item in enumerate(value)]
            todo += reversed(below)


def _check_text(text: str, path: str, *, may_be_binary: bool) -> None:
    if not text.isascii() and _SURROGATE.search(text):
        raise wrong(path, "half of a surrogate pair is not a character")
    if "\0" in text and not may_be_binary:
        raise wrong(path, "a NUL character is only possible in the content of a file")


def _too_deep(text: str) -> str:
    """The path in a JSON text at which it is nested too deeply for the decoder."""
    steps: list[str | int] = []  # the key or position in each of the open objects and lists
    last = ""
    for match in _TOKEN.finditer(text):
        found = match[0]
        if found in ("[", "{"):
            steps.append(0 if found == "[" else "")
            if len(steps) > MAX_DEPTH:
                break
        elif not steps:
            continue
        elif found in ("]", "}"):
            steps.pop()
        elif found == "," and isinstance(number := steps[-1], int):
            steps[-1] = number + 1
        elif found == ":" and isinstance(steps[-1], str):
            steps[-1] = last[1:-1]
        last = found
    path = ""
    for step in steps[:-1]:
        path = f"{path}[{step}]" if isinstance(step, int) else join(path, step)
    return path


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
    shown = path if len(path) <= MAX_PATH else f"{path[: MAX_PATH // 2]}...{path[-MAX_PATH // 2 :]}"
    return input_error(f"{shown or 'pipeline'}: {message}", hint)
