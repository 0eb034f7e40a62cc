"""Reads YAML files into documents: plain data in which the position of every key and value is known.

It works on the nodes of ruamel.yaml rather than on the data that it loads, so that every key, also a duplicate one, has
a position, and only the types of JSON ever come out: no dates, no sets, no objects.
"""

import math
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode
from ruamel.yaml.reader import ReaderError

from osbuild_compose.document import doc_links, input_file, yaml_errors
from osbuild_compose.document.node import Node, SourceText, Span, Step, Trail, find, plain
from osbuild_compose.errors import InputError, Location
from osbuild_compose.problem import Problem, as_error

__all__ = ["Document", "EmptyError", "Step", "Trail", "parse", "read"]

MAX_BYTES = 4 * 1024 * 1024
MAX_TEXT = 16 * 1024 * 1024  # characters of all values: aliases and variables can multiply them
MAX_VALUES = 50_000  # aliases can multiply values; no real document has that many
MAX_DEPTH = 64
MAX_INTEGER = 2**63 - 1  # what every JSON reader can represent

_TAG = "tag:yaml.org,2002:"
_SURROGATE = re.compile("[\ud800-\udfff]")

_LINE_END = re.compile(r"\r\n|[\n\r\x85\u2028\u2029]")  # all line ends of YAML


@dataclass(frozen=True)
class Document:
    """A YAML document, possibly merged from several files. `data` is the tree as plain data, in the types of JSON."""

    file: str
    tree: Node
    data: Any

    @classmethod
    def from_tree(cls, file: str, tree: Node) -> "Document":
        """The document of a tree; `file` is the file that paths in it are relative to."""
        return cls(file, tree, plain(tree))

    def at_key(self, trail: Sequence[Step]) -> Location:
        """The position of the key at the end of the trail; for an item of a list, of the item."""
        node, whole = self.find(trail)
        return (node.key if whole and node.key else node.place).location

    def at_value(self, trail: Sequence[Step]) -> Location:
        """The position of the value, or of the nearest value around it if it is not in the file."""
        return self.find(trail)[0].place.location

    def find(self, trail: Sequence[Step]) -> tuple[Node, bool]:
        """The value at the end of the trail and True, or the last one on the way to it and False."""
        return find(self.tree, trail)


class EmptyError(InputError):
    """An empty file."""


def read(path: Path, *, regular: bool = False) -> Document:
    """Read the YAML file at `path`; "-" is not special. regular: refuse pipes and devices, which could block, as well.

    Raises InputError(s) for anything that is not a document.
    """
    name = str(path)
    try:
        raw = input_file.read(path, MAX_BYTES + 1, pipes=not regular)
    except FileNotFoundError:
        raise InputError(f"there is no file {name}", hint="check the path and its spelling") from None
    except IsADirectoryError:
        raise InputError(f"{name} is a directory", hint="give the blueprint's YAML file") from None
    except input_file.NotAFileError as error:
        raise InputError(f"{name} is not a file" if regular else f"cannot read {name}: {error.strerror}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot read {name}: {reason}") from None
    return parse(raw, name)


def parse(raw: bytes, file: str) -> Document:
    """Parse the bytes of a YAML file; `file` is its name for messages.

    Raises InputError: for wrong syntax the first error, for duplicate keys and unknown tags a DocumentError with all.
    """
    if len(raw) > MAX_BYTES:
        raise InputError(
            f"the file is larger than {MAX_BYTES // 1024**2} MiB",
            hint="move large content to separate files, or to a package",
            location=Location(file),
        )
    text = _decode(raw, file)
    source = SourceText(file, tuple(_LINE_END.split(text)))
    try:
        root = _compose(text)
    except MarkedYAMLError as error:
        raise yaml_errors.problem(error, source) from None
    except ReaderError as error:
        raise yaml_errors.character(error, text, source) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise yaml_errors.other(error, source) from None
    return _document(root, source)


def _compose(text: str) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = BoundedComposer
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReusedAnchorWarning)  # YAML allows it
        return yaml.compose(text)


def _document(root: Any, source: SourceText) -> Document:
    builder = _Builder(source)
    tree = None if root is None else builder.build(root, ())
    if builder.problems:
        raise as_error(builder.problems)
    if tree is None or tree.value is None:
        raise EmptyError(
            "the file is empty", hint="`compose init` writes a first blueprint", location=Location(source.file)
        )
    return Document.from_tree(source.file, tree)


def _decode(raw: bytes, file: str) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        start = raw.rfind(b"\n", 0, error.start) + 1
        line = raw.count(b"\n", 0, error.start)
        text = raw[start:].split(b"\n", 1)[0].rstrip(b"\r").decode("utf-8", errors="replace")
        column = len(raw[start : error.start].decode("utf-8", errors="replace"))
        return yaml_errors.not_utf8(raw[error.start], Location(file, line + 1, column + 1, text))


class BoundedComposer(Composer):
    """Stops at a depth, as the parser's time grows with its square, and at a number of values."""

    max_depth = MAX_DEPTH
    max_values = 2 * MAX_VALUES  # keys are counted too
    depth = 0
    count = 0

    def compose_node(self, parent: YamlNode | None, index: int) -> Any:
        self.depth += 1
        self.count += 1
        if self.depth > self.max_depth:
            raise ComposerError(None, None, yaml_errors.TOO_DEEP, self.parser.peek_event().start_mark)
        if self.count > self.max_values:
            raise ComposerError(None, None, yaml_errors.TOO_MANY, self.parser.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Builder:
    """Builds the tree of a document and collects its problems."""

    def __init__(self, source: SourceText) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self._count = 0
        self._length = 0

    def build(self, node: YamlNode, trail: Trail) -> Node:
        """The tree of a node. Raises InputError if aliases make it too large."""
        self._count += 1
        if isinstance(node, ScalarNode):
            self._length += len(node.value)
        place = self._span(node)
        if len(trail) > MAX_DEPTH or self._count > MAX_VALUES or self._length > MAX_TEXT:
            # An alias to a value that contains the alias itself ends here, too.
            raise InputError(
                "the document is nested too deeply or too large",
                hint=f"at most {MAX_VALUES} values, {MAX_DEPTH} deep; an alias counts as everything below its anchor",
                location=place.location,
                reference=f"{doc_links.ERRORS}#too-large",
            )
        if isinstance(node, MappingNode):
            self._check_tag(node, "map")
            return Node(self._mapping(node, trail), place)
        if isinstance(node, SequenceNode):
            self._check_tag(node, "seq")
            return Node([self.build(item, (*trail, index)) for index, item in enumerate(node.value)], place)
        if isinstance(node, ScalarNode):
            return Node(self._scalar(node), place, written=str(node.value))
        raise AssertionError(node)

    def _mapping(self, node: MappingNode, trail: Trail) -> dict[str, Node]:
        result: dict[str, Node] = {}
        for key_node, value_node in node.value:
            span = self._span(key_node)
            if not isinstance(key_node, ScalarNode):
                self._report("a key must be plain text", span, heading="not-valid-yaml")
                continue
            key = self._text(key_node)
            if key == "<<" and key_node.style is None:
                hint = "write out the keys, or share them with `extends` or a profile"
                self._report("the merge key << of YAML 1.1 is not supported", span, hint, "anchors-tags-and-merge-keys")
                continue
            if key in result:
                first = result[key].key
                line = first.line + 1 if first else 0
                hint = "keep one of them; use a list for several values"
                self._report(f"duplicate key `{key}`, first used in line {line}", span, hint, "duplicate-keys")
                continue
            value = self.build(value_node, (*trail, key))
            if value_node.start_mark.index == value_node.end_mark.index:
                value = replace(value, place=span)  # the value is empty; YAML puts it on the next line
            result[key] = replace(value, key=span)
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
                return self._number(text, node)
            case "str" | "timestamp" | "merge" | "value":
                return text
        self._unknown_tag(node)
        return text

    def _number(self, text: str, node: ScalarNode) -> int | float | str:
        plain = text.replace("_", "")
        for convert in (lambda t: int(t, 10), lambda t: int(t, 0), float):
            try:
                number = convert(plain)
            except ValueError:
                continue
            if abs(number) > MAX_INTEGER and (isinstance(number, int) or plain.lstrip("+-").isdigit()):
                self._report(f"the number is larger than {MAX_INTEGER}", self._span(node), heading="too-large")
                return 0
            return number if isinstance(number, int) or math.isfinite(number) else text
        return text

    def _text(self, node: ScalarNode) -> str:
        text = str(node.value)
        if not _SURROGATE.search(text):
            return text
        # JSON writes a character beyond the BMP as a pair.
        text = text.encode("utf-16", errors="surrogatepass").decode("utf-16", errors="surrogatepass")
        if not _SURROGATE.search(text):
            return text
        self._report("an unpaired surrogate is not a character", self._span(node), heading="not-valid-yaml")
        return _SURROGATE.sub("\ufffd", text)

    def _check_tag(self, node: YamlNode, kind: str) -> None:
        if str(node.tag) != _TAG + kind:
            self._unknown_tag(node)

    def _unknown_tag(self, node: YamlNode) -> None:
        tag = str(node.tag).replace(_TAG, "!!")
        self._report(
            f"the tag {tag} is not supported", self._span(node), "remove the tag", "anchors-tags-and-merge-keys"
        )

    def _span(self, node: YamlNode) -> Span:
        start, end = node.start_mark, node.end_mark
        one_line = start.line == end.line
        return Span(self.source, start.line, start.column, max(1, end.column - start.column) if one_line else 1)

    def _report(self, brief: str, span: Span, hint: str = "", heading: str = "") -> None:
        reference = f"{doc_links.ERRORS}#{heading}"
        self.problems.append(Problem((), brief, hint, location=span.location, reference=reference))
