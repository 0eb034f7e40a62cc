"""A YAML file as plain data, with the place of every key and value.

The file is composed to nodes by ruamel.yaml and turned into data here, so that every key, also a doubled or a wrong
one, can be pointed at, and nothing but the types of JSON ever comes out: no dates, no sets, no objects.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from osbuild_compose.errors import DocumentError, InputError, Location

Step = str | int
Trail = tuple[Step, ...]  # the way to a value: ("users", 0, "name")

MAX_BYTES = 4 * 1024 * 1024
MAX_VALUES = 200_000  # aliases may multiply values; nobody writes that many
MAX_DEPTH = 64

_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Span:
    """Where a key or value stands: line and column count from 0, length in columns."""

    line: int
    column: int
    length: int


@dataclass(frozen=True)
class Document:
    """A YAML file that could be read. data is made of dict, list, str, int, float, bool and None only."""

    file: str
    lines: tuple[str, ...]
    data: Any
    keys: dict[Trail, Span]
    values: dict[Trail, Span]
    set_elsewhere: Mapping[Trail, Location] = field(default_factory=dict)  # values that are not from the file

    def at_key(self, trail: Sequence[Step]) -> Location:
        """Where the key at the end of the trail stands; for a list's item, where the item does."""
        path = tuple(trail)
        return self._elsewhere(path) or self._location(self.keys.get(path) or self._nearest(path))

    def at_value(self, trail: Sequence[Step]) -> Location:
        """Where the value stands, or the nearest thing around it when it is not in the file."""
        path = tuple(trail)
        return self._elsewhere(path) or self._location(self._nearest(path))

    def _elsewhere(self, trail: Trail) -> Location | None:
        starts = (trail[:length] for length in range(len(trail), 0, -1))
        return next((self.set_elsewhere[start] for start in starts if start in self.set_elsewhere), None)

    def _nearest(self, trail: Trail) -> Span:
        while trail and trail not in self.values:
            trail = trail[:-1]
        return self.values.get(trail, Span(0, 0, 1))

    def _location(self, span: Span) -> Location:
        return _location(self.file, self.lines, span.line, span.column, span.length)


def _location(file: str, lines: Sequence[str], line: int, column: int, length: int = 1) -> Location:
    text = lines[line] if line < len(lines) else ""
    return Location(file, line + 1, column + 1, text, max(1, min(length, len(text) - column)))


def read(path: Path) -> Document:
    """Read the YAML file at `path`; "-" is not special. Raises InputError(s) for anything that is not a document."""
    name = str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError(f"there is no file {name}", hint="check the path and its spelling") from None
    except IsADirectoryError:
        raise InputError(f"{name} is a directory", hint="give the blueprint's YAML file") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot read {name}: {reason}") from None
    return parse(raw, name)


def parse(raw: bytes, file: str) -> Document:
    """Turn the bytes of a YAML file into a Document; `file` is its name for messages.

    Raises InputError, or DocumentError with all doubled keys and wrong tags at once.
    """
    if len(raw) > MAX_BYTES:
        raise InputError(f"the file is larger than {MAX_BYTES} bytes", location=Location(file))
    text = _decode(raw, file)
    lines = tuple(text.split("\n"))
    try:
        yaml = YAML(pure=True)
        yaml.Composer = _ShallowComposer
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ReusedAnchorWarning)  # YAML allows it
            root = yaml.compose(text)
    except MarkedYAMLError as error:
        raise _syntax_error(error, file, lines) from None
    except ReaderError as error:
        raise _character_error(error, text, file, lines) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"not valid YAML: {error or type(error).__name__}", location=Location(file)) from None
    reader = _Reader(file, lines)
    data = None if root is None else reader.build(root, ())
    if data is None and not reader.errors:
        raise InputError("the file is empty", location=Location(file))
    if reader.errors:
        raise DocumentError(reader.errors)
    return Document(file, lines, data, reader.keys, reader.values)


def _decode(raw: bytes, file: str) -> str:
    try:
        return raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"the file is not UTF-8 text: byte 0x{raw[error.start]:02x} in line {line}",
            hint="save it as UTF-8",
            location=Location(file, line, 1),
        ) from None


def _syntax_error(error: MarkedYAMLError, file: str, lines: Sequence[str]) -> InputError:
    mark = error.problem_mark or error.context_mark
    location = _location(file, lines, mark.line, mark.column) if mark else Location(file)
    problem = error.problem or error.context or "not valid YAML"
    hint = ""
    if "\t" in location.text[: location.column] and "token" in problem:
        problem, hint = "a tab stands where YAML wants spaces", "indent with spaces"
    elif "found character" in problem and location.text[location.column - 1 : location.column] in {"@", "`", "%"}:
        hint = "put the value in quotes"
    elif "mapping values are not allowed" in problem:
        hint = 'a value with ": " in it wants quotes; a key starts on its own line'
    elif "another document" in problem:
        problem, hint = "the file holds a second document", "a blueprint is one document: remove the line ---"
    return InputError(f"not valid YAML: {problem}", hint=hint, location=location)


def _character_error(error: ReaderError, text: str, file: str, lines: Sequence[str]) -> InputError:
    position = min(error.position, len(text))
    line = text.count("\n", 0, position)
    column = position - (text.rfind("\n", 0, position) + 1)
    character = error.character if isinstance(error.character, int) else ord(str(error.character)[:1] or "\0")
    return InputError(
        f"not valid YAML: the character U+{character:04X} is not allowed",
        location=_location(file, lines, line, column),
    )


class _ShallowComposer(Composer):
    """Stops at MAX_DEPTH: the parser takes time that grows with the square of the depth."""

    depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Any:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ComposerError(None, None, "nested too deeply", self.parser.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Reader:
    """Builds data from nodes and remembers where everything stands and what is wrong."""

    def __init__(self, file: str, lines: Sequence[str]) -> None:
        self.file = file
        self.lines = lines
        self.keys: dict[Trail, Span] = {}
        self.values: dict[Trail, Span] = {}
        self.errors: list[InputError] = []

    def build(self, node: Node, trail: Trail) -> Any:
        self.values[trail] = self._span(node)
        if len(trail) > MAX_DEPTH or len(self.values) > MAX_VALUES:
            # An alias to something that holds the alias itself ends here too.
            raise InputError("the document is nested too deeply or too large", location=self._at(self._span(node)))
        if isinstance(node, MappingNode):
            self._check_tag(node, "map")
            return self._mapping(node, trail)
        if isinstance(node, SequenceNode):
            self._check_tag(node, "seq")
            return [self.build(item, (*trail, index)) for index, item in enumerate(node.value)]
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        raise AssertionError(node)

    def _mapping(self, node: MappingNode, trail: Trail) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            span = self._span(key_node)
            if not isinstance(key_node, ScalarNode):
                self._wrong("a key must be plain text", span)
                continue
            key = self._text(key_node)
            if key in result:
                first = self.keys[(*trail, key)]
                self._wrong(f"the key `{key}` is here twice; first in line {first.line + 1}", span)
                continue
            self.keys[(*trail, key)] = span
            result[key] = self.build(value_node, (*trail, key))
            if value_node.start_mark.index == value_node.end_mark.index:
                self.values[(*trail, key)] = span  # nothing stands there; YAML puts it on the next line
        return result

    def _scalar(self, node: ScalarNode) -> str | int | float | bool | None:
        text = self._text(node)
        kind = str(node.tag).removeprefix(_TAG)
        match kind:
            case "null" if text in {"", "~", "null", "Null", "NULL"}:
                return None
            case "bool" if text.lower() in {"true", "false", "yes", "no", "on", "off"}:
                return text.lower() in {"true", "yes", "on"}
            case "int" | "float":
                return self._number(text)
            case "str" | "timestamp" | "merge" | "value":
                return text
        self._wrong(f"the tag {node.tag} is not known here", self._span(node), hint="remove the tag")
        return text

    @staticmethod
    def _number(text: str) -> int | float | str:
        plain = text.replace("_", "")
        for convert in (lambda t: int(t, 10), lambda t: int(t, 0), float):
            try:
                number = convert(plain)
            except ValueError:
                continue
            return number if isinstance(number, int) or math.isfinite(number) else text
        return text

    def _text(self, node: ScalarNode) -> str:
        text = str(node.value)
        if any("\ud800" <= character <= "\udfff" for character in text):
            self._wrong("half of a surrogate pair is not a character", self._span(node))
        return text

    def _check_tag(self, node: Node, kind: str) -> None:
        if str(node.tag) != _TAG + kind:
            self._wrong(f"the tag {node.tag} is not known here", self._span(node), hint="remove the tag")

    def _span(self, node: Node) -> Span:
        start, end = node.start_mark, node.end_mark
        one_line = start.line == end.line
        return Span(start.line, start.column, max(1, end.column - start.column) if one_line else 1)

    def _at(self, span: Span) -> Location:
        return _location(self.file, self.lines, span.line, span.column, span.length)

    def _wrong(self, brief: str, span: Span, hint: str = "") -> None:
        self.errors.append(InputError(brief, hint=hint, location=self._at(span)))
