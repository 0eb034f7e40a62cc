"""Reading a foreign blueprint key by key, with a note for every key that is not used."""

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osbuild_compose.errors import InputError, Location

MAX_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Note:
    """A key of the foreign blueprint that could not be converted, and why."""

    key: str
    reason: str


@dataclass
class Table:
    """A mapping that is read key by key; `notes` receives the keys that are not used."""

    data: dict[str, Any]
    path: str
    notes: list[Note]
    taken: set[str] = field(default_factory=set)

    def take(self, key: str, *kinds: type) -> Any:
        """The value of the key if it is there and of one of the kinds (true and false are no numbers), else None."""
        self.taken.add(key)
        value = self.data.get(key)
        if value is None or (isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))):
            return value
        self.note(key, f"{json.dumps(value, default=str)} has the wrong type")
        return None

    def texts(self, key: str) -> list[str]:
        """The texts in the list of that key."""
        items = self.take(key, list) or []
        for item in items:
            if not isinstance(item, str):
                self.note(key, f"{json.dumps(item, default=str)} has the wrong type")
        return [item for item in items if isinstance(item, str)]

    def table(self, key: str) -> "Table":
        """The mapping of that key, empty if there is none."""
        return Table(self.take(key, dict) or {}, self._below(key), self.notes)

    def tables(self, key: str) -> list["Table"]:
        """The mappings in the list of that key."""
        items = self.take(key, list) or []
        for index, item in enumerate(items):
            if not isinstance(item, dict):
                self.note(f"{key}[{index}]", f"{json.dumps(item, default=str)} has the wrong type")
        return [
            Table(item, f"{self._below(key)}[{index}]", self.notes)
            for index, item in enumerate(items)
            if isinstance(item, dict)
        ]

    def note(self, key: str, reason: str) -> None:
        """Note that the key is not in our blueprint."""
        self.taken.add(key)
        self.notes.append(Note(self._below(key), reason))

    def refuse(self, reason: str, *keys: str) -> None:
        """Note the reason for those of the keys that have a value."""
        for key in keys:
            if _has_value(self.data.get(key)):
                self.note(key, reason)
            self.taken.add(key)

    def rest(self) -> None:
        """Note all keys that were not used."""
        for key in self.data:
            if key not in self.taken:
                self.note(key, "unknown key")

    def _below(self, key: str) -> str:
        return f"{self.path}.{key}" if self.path else key


def _has_value(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_value, value.values()))
    return value not in (None, "", [], False)


def read(path: Path) -> dict[str, Any]:
    """The blueprint in a TOML or JSON file. Raises InputError, with its location, if the file is neither."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    if len(raw) > MAX_BYTES:
        raise InputError(f"{path} is larger than {MAX_BYTES // 1024**2} MiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text") from None
    data = _json(text, path) if path.suffix == ".json" or text.lstrip()[:1] == "{" else _toml(text, path)
    if not isinstance(data, dict):
        raise InputError(f"{path} is not a blueprint: that is a mapping")
    return data


def _json(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        line = text.split("\n")[error.lineno - 1]
        place = Location(str(path), error.lineno, error.colno, line)
        raise InputError(f"not valid JSON: {error.msg}", location=place) from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply") from None


def _toml(text: str, path: Path) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).rpartition(" (at ")
        words = place.rstrip(")").replace(",", "").split()
        if len(words) == 4 and words[1].isdecimal() and words[3].isdecimal():
            number, column = int(words[1]), int(words[3])
            location = Location(str(path), number, column, text.split("\n")[number - 1])
            raise InputError(f"not valid TOML: {message}", location=location) from None
        raise InputError(f"{path}: not valid TOML: {error}") from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply") from None
