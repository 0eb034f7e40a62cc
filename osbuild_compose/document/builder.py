"""From ruamel.yaml's nodes to our tree.

Nodes rather than ruamel's own data, so that every key, also a doubled or a wrong one, can be pointed at, and nothing
but the types of JSON ever comes out: no dates, no sets, no objects.
"""

import math
import re
from dataclasses import replace
from typing import Any

from ruamel.yaml.composer import Composer, ComposerError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.nodes import Node as YamlNode

from osbuild_compose.document import doc_links, yaml_errors
from osbuild_compose.document.node import Node, Source, Span, Trail
from osbuild_compose.errors import InputError
from osbuild_compose.problem import Problem

MAX_VALUES = 50_000  # aliases may multiply values; nobody writes that many
MAX_DEPTH = 64
MAX_INTEGER = 2**63 - 1  # what every reader of JSON can hold

_TAG = "tag:yaml.org,2002:"
_SURROGATE = re.compile("[\ud800-\udfff]")


class BoundedComposer(Composer):
    """Stops at MAX_DEPTH, as the parser takes time that grows with the square of the depth, and at MAX_VALUES."""

    depth = 0
    count = 0

    def compose_node(self, parent: YamlNode | None, index: int) -> Any:
        self.depth += 1
        self.count += 1
        if self.depth > MAX_DEPTH:
            raise ComposerError(None, None, yaml_errors.TOO_DEEP, self.parser.peek_event().start_mark)
        if self.count > 2 * MAX_VALUES:  # keys are counted too
            raise ComposerError(None, None, yaml_errors.TOO_MANY, self.parser.peek_event().start_mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class Builder:
    """Builds the tree and gathers what is wrong."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Problem] = []
        self._count = 0

    def build(self, node: YamlNode, trail: Trail) -> Node:
        """The tree of a node. Raises InputError where aliases make it too large."""
        self._count += 1
        place = self._span(node)
        if len(trail) > MAX_DEPTH or self._count > MAX_VALUES:
            # An alias to something that holds the alias itself ends here too.
            raise InputError(
                "the document is nested too deeply or too large",
                hint=f"at most {MAX_VALUES} values, {MAX_DEPTH} deep; an alias repeats all that is below its anchor",
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
                self._wrong("a key must be plain text", span, heading="not-valid-yaml")
                continue
            key = self._text(key_node)
            if key == "<<" and key_node.style is None:
                hint = "write the keys out, or share them with `extends` or a profile"
                self._wrong("the key << of older YAML does not merge here", span, hint, "anchors-tags-and-merge-keys")
                continue
            if key in result:
                first = result[key].key
                line = first.line + 1 if first else 0
                hint = "keep one of them; a list holds several values"
                self._wrong(f"the key `{key}` is here twice; first in line {line}", span, hint, "duplicate-keys")
                continue
            value = self.build(value_node, (*trail, key))
            if value_node.start_mark.index == value_node.end_mark.index:
                value = replace(value, place=span)  # nothing stands there; YAML puts it on the next line
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
                self._wrong(f"the number is larger than {MAX_INTEGER}", self._span(node), heading="too-large")
                return 0
            return number if isinstance(number, int) or math.isfinite(number) else text
        return text

    def _text(self, node: ScalarNode) -> str:
        text = str(node.value)
        if not _SURROGATE.search(text):
            return text
        self._wrong("half of a surrogate pair is not a character", self._span(node), heading="not-valid-yaml")
        return _SURROGATE.sub("\ufffd", text)

    def _check_tag(self, node: YamlNode, kind: str) -> None:
        if str(node.tag) != _TAG + kind:
            self._unknown_tag(node)

    def _unknown_tag(self, node: YamlNode) -> None:
        tag = str(node.tag).replace(_TAG, "!!")
        self._wrong(
            f"the tag {tag} is not known here", self._span(node), "remove the tag", "anchors-tags-and-merge-keys"
        )

    def _span(self, node: YamlNode) -> Span:
        start, end = node.start_mark, node.end_mark
        one_line = start.line == end.line
        return Span(self.source, start.line, start.column, max(1, end.column - start.column) if one_line else 1)

    def _wrong(self, brief: str, span: Span, hint: str = "", heading: str = "") -> None:
        reference = f"{doc_links.ERRORS}#{heading}"
        self.problems.append(Problem((), brief, hint, location=span.location, reference=reference))
