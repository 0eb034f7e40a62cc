"""Reading a foreign blueprint: from its file, and key by key, with a note for every key that is not used."""

import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osbuild_compose.document import input_file
from osbuild_compose.document.node import Trail
from osbuild_compose.errors import InputError, Location
from osbuild_compose.importing import places
from osbuild_compose.importing.places import Source, shown, tagged

MAX_BYTES = 4 * 1024 * 1024
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|<%.*?%>|<<[A-Za-z_]+>>|@@[A-Za-z_]+@@")
_CONTENTS = ("data", "contents", "content", "description")  # texts that may have anything in them
_FILL_IN = "it is a template: fill it in first"


@dataclass(frozen=True)
class Note:
    """A key of the foreign blueprint that could not be converted, and why; `line` is where, 0 if that is not known.

    is_lost: whether something was left out, and not only written in another way.
    """

    key: str
    reason: str
    line: int = 0
    is_lost: bool = True


@dataclass
class Table:
    """A mapping that is read key by key; `notes` receives the keys that are not used.

    Something that protects the image must not be lost without what it protects: `spoilt` is the key of an item that
    could not be read, so that the item cannot be used.
    """

    data: dict[str, Any]
    trail: Trail
    notes: list[Note]
    source: Source
    taken: set[str] = field(default_factory=set)
    spoilt: str = ""

    def take(self, key: str, *kinds: type, protects: bool = False) -> Any:
        """The value of the key if it is there and of one of the kinds (true and false are no numbers), else None.

        protects: whether the item cannot be used without it.
        """
        self.taken.add(key)
        value = self.data.get(key)
        if value is None or (isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))):
            return tagged(value, (*self.trail, key))
        self.note(key, f"{json.dumps(value, default=str)} has the wrong type")
        if protects:
            self.spoilt = key
        return None

    def need(self, key: str, *kinds: type) -> Any:
        """The same for a key that the whole image cannot do without: raises InputError for a wrong type."""
        found = self.take(key, *kinds)
        if found is None and self.data.get(key) is not None:
            raise self.source.error((*self.trail, key), "has the wrong type, and what it protects would be open")
        return found

    def texts(self, key: str, *, needed: bool = False) -> list[str]:
        """The texts in the list of that key; `needed` as in need()."""
        items = (self.need if needed else self.take)(key, list) or []
        for index, item in enumerate(items):
            if not isinstance(item, str):
                if needed:
                    raise self.source.error((*self.trail, key, index), "has the wrong type")
                self.note(key, f"{json.dumps(item, default=str)} has the wrong type")
        return [tagged(item, (*self.trail, key, at)) for at, item in enumerate(items) if isinstance(item, str)]

    def table(self, key: str) -> "Table":
        """The mapping of that key, empty if there is none."""
        return Table(self.take(key, dict) or {}, (*self.trail, key), self.notes, self.source)

    def tables(self, key: str) -> list["Table"]:
        """The mappings in the list of that key; a mapping alone counts as a list of one."""
        items = self.take(key, list, dict) or []
        if isinstance(items, dict):
            return [Table(items, (*self.trail, key), self.notes, self.source)] if items else []
        for index, item in enumerate(items):
            if not isinstance(item, dict):
                self.note_at((*self.trail, key, index), f"{json.dumps(item, default=str)} has the wrong type")
        return [
            Table(item, (*self.trail, key, index), self.notes, self.source)
            for index, item in enumerate(items)
            if isinstance(item, dict)
        ]

    def note(self, key: str, reason: str) -> None:
        """Note that the key is not in our blueprint."""
        self.taken.add(key)
        self.note_at((*self.trail, key) if key else self.trail, reason)

    def note_at(self, trail: Trail, reason: str) -> None:
        """Note that what is at the trail is not in our blueprint."""
        self.notes.append(note(self.source, trail, reason))

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

    def is_whole(self, what: str) -> bool:
        """Whether the item can be used; notes that it cannot otherwise. `what` is its kind: "user"."""
        if self.spoilt:
            self.note("", f"the {what} is left out, because its `{self.spoilt}` cannot be carried over")
        return not self.spoilt


def note(source: Source, trail: Trail, reason: str, *, is_lost: bool = True) -> Note:
    """A note about what is at the trail of the source's data."""
    location = source.location(trail)
    return Note(shown(source.original(trail)), reason, location.line if location else 0, is_lost)


def _has_value(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_value, value.values()))
    return value not in (None, "", [], False)


def read(path: Path) -> Source:
    """The blueprint in a TOML or JSON file. Raises InputError, with its location, if the file is neither."""
    try:
        raw = input_file.read(path, MAX_BYTES + 1, pipes=True)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot read {path}: {reason}") from None
    if len(raw) > MAX_BYTES:
        raise InputError(f"{path} is larger than {MAX_BYTES // 1024**2} MiB")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text") from None
    if path.suffix in (".yaml", ".yml"):
        hint = "if it is one of ours, it needs no import: `compose check` and `compose build` take it"
        raise InputError(f"{path} is YAML, and blueprints of osbuild are TOML or JSON", hint=hint)
    is_json = path.suffix == ".json" or (text.lstrip()[:1] == "{" and text.lstrip()[:2] not in ("{{", "{%"))
    data = _json(text, path) if is_json else _toml(text, path)
    if not isinstance(data, dict):
        raise InputError(f"{path} is not a blueprint: that is a mapping")
    found = Source(data, path, text, is_json)
    _refuse_template(found, data, ())
    return found


def _refuse_template(source: Source, value: Any, trail: Trail) -> None:
    """Raise InputError for a placeholder: nobody wants a user whose password is "{{ password }}"."""
    if (
        isinstance(value, str)
        and (match := _TEMPLATE.search(value))
        and trail[-1:] not in {(key,) for key in _CONTENTS}
    ):
        raise source.error(trail, f"{match[0][:40]} is to be filled in", _FILL_IN)
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
    for step, item in items:
        _refuse_template(source, item, (*trail, step))


def _json(text: str, path: Path) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"{path}: `{twice}` is there twice in one mapping", hint="remove one of them")
        return found

    try:
        return json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        line = text.split("\n")[error.lineno - 1]
        place = Location(str(path), error.lineno, error.colno, line)
        hint = _FILL_IN if _TEMPLATE.search(line) else ""
        raise InputError(f"not valid JSON: {error.msg}", location=place, hint=hint) from None
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
            line = text.split("\n")[number - 1]
            location = Location(str(path), number, column, line)
            if taken := _taken(text, number, message):
                raise InputError(taken, location=location, hint="remove one of them") from None
            hint = _FILL_IN if _TEMPLATE.search(line) or line.lstrip().startswith(("{%", "{{", "<%")) else ""
            raise InputError(f"not valid TOML: {message}", location=location, hint=hint) from None
        raise InputError(f"{path}: not valid TOML: {error}") from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply") from None


def _taken(text: str, number: int, message: str) -> str:
    """What to say about a key that is given for a second time; "" for another error."""
    if not message.startswith(("Cannot mutate", "Cannot overwrite", "Cannot declare", "Cannot redefine")):
        return ""
    at = [trail for trail, where in places.keys(text) if where == number]
    for trail in at or [()]:
        names = tuple(step for step in trail if isinstance(step, str))
        for length in range(len(names), 0, -1):
            if first := places.first_line(text, names[:length], number):
                return f"`{'.'.join(names[:length])}` is there already, in line {first}"
    return ""
