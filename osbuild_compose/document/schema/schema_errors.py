"""Explains errors of jsonschema in plain words, with hints."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from jsonschema import ValidationError

from osbuild_compose.document.composition.list_operators import OPERATORS, is_list
from osbuild_compose.document.node import Node, Step, find
from osbuild_compose.document.other_tools import Advice, about_value
from osbuild_compose.document.suggest import FOREIGN, did_you_mean, nearest, synonym
from osbuild_compose.problem import Problem

MAX_TEXT = 300  # characters of a message of the library
MAX_SHOWN = 60  # characters of a value that a message repeats

_KINDS = {
    "object": "a mapping (key: value)",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "empty",
}
_TRUTH = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


Reference = Callable[[Sequence[str | int]], str]


def _no_reference(_trail: Sequence[str | int]) -> str:
    return ""


def explain(
    error: ValidationError,
    tree: Node,
    reference: Reference = _no_reference,
    schema: Mapping[str, Any] = MappingProxyType({}),
    subject: str = "the document",
) -> list[Problem]:
    """The problems behind one error of jsonschema.

    `tree` is what was validated, by `schema`; `subject` is what messages call the document. `reference` returns the
    page of the documentation about the value at a trail.
    """
    finding = _Finding(error, tree, reference, schema, subject)
    if finding.kind in ("oneOf", "anyOf") and "errorMessage" not in finding.schema and error.context:
        deepest = max(error.context, key=lambda inner: len(inner.absolute_path))
        if len(deepest.absolute_path) > len(error.absolute_path):
            return explain(deepest, tree, reference, schema, subject)
    known = _EXPLANATIONS.get(finding.kind)
    if known is None and finding.schema.get("type") == "object" and not isinstance(finding.instance, dict):
        return []  # the error about the type says that it is not a mapping
    if known is _empty and isinstance(finding.instance, dict) and is_list(dict(finding.schema)):
        return []  # the error about the type says that it is not a list
    if known is None:
        return [finding.problem(finding.schema.get("errorMessage", finding.text), at_key=True)]
    return list(known(finding))


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern matches anywhere in the text, as in JSON Schema."""
    # In Python, $ also matches before a trailing newline; in JSON Schema it does not.
    return re.search(re.sub(r"\$$", r"\\Z", pattern), text) is not None


def _readable(pattern: str) -> str:
    """The pattern for people: without the condition that keeps Python from accepting a trailing newline."""
    return pattern.removesuffix(r"(?!\n)")


class _Finding:
    """One error of jsonschema, with the data that messages need."""

    def __init__(
        self, error: ValidationError, tree: Node, reference: Reference, whole: Mapping[str, Any], subject: str
    ) -> None:
        self.kind = str(error.validator)
        self.wanted: Any = error.validator_value
        self.instance: Any = error.instance
        self.schema: Mapping[str, Any] = error.schema if isinstance(error.schema, dict) else {}
        self.text = error.message if len(error.message) <= MAX_TEXT else f"... {error.message[-MAX_TEXT:]}"
        if error.validator in ("maxItems", "maxProperties"):
            self.text = f"more than {error.validator_value} items"
        self.trail = tuple(error.absolute_path)
        self.tree = tree
        self.whole = whole
        self._reference = reference
        self._subject = subject

    @property
    def what(self) -> str:
        """The name of the value in messages: its nearest key."""
        names = [step for step in self.trail if isinstance(step, str)]
        if not names:
            return self._subject
        return f"an item of `{names[-1]}`" if isinstance(self.trail[-1], int) else f"`{names[-1]}`"

    @property
    def node(self) -> Node:
        return find(self.tree, self.trail)[0]

    def advice(self) -> Advice | None:
        """What to do about the value, if another tool would take it."""
        names = [step for step in self.trail if isinstance(step, str)]
        return about_value(names[-1], self.instance) if names and isinstance(self.instance, str) else None

    def example(self, key: str) -> str:
        """A hint with an example for a key of the mapping, if its schema has one."""
        node = self.schema.get("properties", {}).get(key)
        examples = node.get("examples", []) if isinstance(node, dict) else []
        return f"for example: {key}: {flow(examples[0])}" if examples else ""

    def problem(
        self,
        brief: str,
        *,
        hint: str = "",
        expected: str = "",
        suggestion: str = "",
        below: Step | None = None,
        at_key: bool = False,
    ) -> Problem:
        """A problem with the value, or with the one at the key or index `below` it."""
        trail = self.trail if below is None else (*self.trail, below)
        of_whole = not self.trail or (self.trail[0] == "profiles" and len(self.trail) == 2)
        has_page = not of_whole or below is None or below in self.schema.get("properties", {})
        return Problem(
            trail,
            brief,
            hint,
            expected=expected,
            suggestion=suggestion,
            reference=self._reference(trail if has_page else ()),
            at_key=at_key,
        )


def _unknown_keys(finding: _Finding) -> Iterator[Problem]:
    known = finding.schema.get("properties", {})
    if known.keys() == set(OPERATORS) and not known.keys() & finding.instance.keys():
        hint = f"items of a list start with a dash; an inherited list is changed with {', '.join(OPERATORS)}"
        yield finding.problem(f"{finding.what} must be a list, not a mapping", hint=hint, expected="a list")
        return
    patterns = finding.schema.get("patternProperties", {})
    for key in finding.instance:
        if key in known or any(matches(pattern, key) for pattern in patterns):
            continue
        usable = [name for name, value in known.items() if not (isinstance(value, dict) and "not" in value)]
        brief = f"unknown key `{key}`"
        if patterns:
            brief = f"`{key}` {finding.schema.get('keyErrorMessage', 'is not a name')}"
        is_ours = patterns or synonym(key, usable)
        elsewhere = "" if is_ours else _other_level(finding.whole, key, finding.trail) or FOREIGN.get(key.lower(), "")
        suggestion = "" if elsewhere else nearest(key, usable) or ""
        yield finding.problem(
            brief,
            hint=elsewhere or did_you_mean(key, usable),
            expected=f"one of: {', '.join(sorted(usable))}" if usable else "",
            suggestion=suggestion,
            below=key,
            at_key=True,
        )


def _wrong_name(finding: _Finding) -> Iterator[Problem]:
    # The instance is the key itself; the trail leads to its mapping.
    message = finding.schema.get("patternErrorMessage", f"does not match {_readable(finding.wanted)}")
    yield finding.problem(f"`{finding.instance}` {message}", below=str(finding.instance), at_key=True)


def _missing_key(finding: _Finding) -> Iterator[Problem]:
    # jsonschema makes one error for each missing key; its message starts with the key.
    for key in finding.wanted:
        if finding.text.startswith(repr(key)):
            brief = f"{finding.what} lacks the key `{key}`"
            yield finding.problem(brief, hint=finding.example(key), expected=f"the key {key}", below=key)


def _missing_dependency(finding: _Finding) -> Iterator[Problem]:
    chosen = {key for choice in finding.schema.get("oneOf", ()) for key in choice.get("required", ())}
    if not chosen & finding.wanted.keys() & finding.instance.keys():
        yield finding.problem(finding.schema.get("errorMessage", finding.text), at_key=True)
        return
    for key, needed in finding.wanted.items():
        for other in needed if key in finding.instance and isinstance(needed, list) else ():
            if other not in finding.instance:
                brief = f"{finding.what} has `{key}` without `{other}`"
                yield finding.problem(brief, hint=finding.example(other), below=other)


def _wrong_type(finding: _Finding) -> Iterator[Problem]:
    if "enum" in finding.schema:
        return  # the error about `enum` says it
    if finding.schema.get("properties", {}).keys() == set(OPERATORS):
        return  # the error about the list says it
    wanted = finding.wanted if isinstance(finding.wanted, list) else [finding.wanted]
    if is_list(dict(finding.schema)):
        wanted = ["array"]
    kinds = " or ".join(_KINDS[kind] for kind in wanted)
    suggestion = _correction(wanted, finding.node, finding.schema.get("examples", []))
    if not matches(finding.schema.get("pattern", ""), finding.node.written):
        suggestion = ""
    yield finding.problem(
        f"{finding.what} must be {kinds}, not {_kind_of(finding.instance)}",
        hint=_type_hint(wanted, finding, suggestion),
        expected=kinds,
        suggestion=suggestion,
    )


def _not_a_choice(finding: _Finding) -> Iterator[Problem]:
    choices = [choice if isinstance(choice, str) else json.dumps(choice) for choice in finding.wanted]
    boolean = _TRUTH.get(str(finding.instance).lower())
    suggestion = boolean if boolean in choices else nearest(str(finding.instance), choices)
    hint = f"did you mean `{suggestion}`?" if suggestion else finding.schema.get("choiceHint", "")
    if advice := finding.advice():
        hint, suggestion = advice.hint, advice.suggestion
    yield finding.problem(
        f"{finding.what} cannot be {_shown(finding.instance)}; it is one of: {', '.join(choices)}",
        hint=hint,
        expected=f"one of: {', '.join(choices)}",
        suggestion=suggestion or "",
    )


def _wrong_text(finding: _Finding) -> Iterator[Problem]:
    if find(finding.tree, [*finding.trail, finding.instance])[1]:
        yield from _wrong_name(finding)
        return
    pattern = _readable(finding.wanted)
    message = finding.schema.get("patternErrorMessage", f"does not match {pattern}")
    advice = finding.advice()
    yield finding.problem(
        f"{finding.what}: {_shown(finding.instance)} {message}",
        hint=advice.hint if advice else "",
        expected=f"text that matches {pattern}",
    )


def _repeated(finding: _Finding) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, item in enumerate(finding.instance):
        text = json.dumps(item, sort_keys=True)
        if text in seen:
            yield finding.problem(f"{finding.what} has {_shown(item)} twice", hint="remove one of them", below=index)
        seen.add(text)


def _empty(finding: _Finding) -> Iterator[Problem]:
    if finding.wanted > 1:
        unit = {"minItems": "items", "minLength": "characters", "minProperties": "keys"}[finding.kind]
        yield finding.problem(f"{finding.what} must have at least {finding.wanted} {unit}")
    else:
        yield finding.problem(f"{finding.what} must not be empty", hint="remove the key, or write a value")


def _out_of_range(finding: _Finding) -> Iterator[Problem]:
    edge = "less" if finding.kind == "minimum" else "more"
    words = {"minimum": "at least", "maximum": "at most"}
    bounds = [f"{word} {finding.schema[key]}" for key, word in words.items() if key in finding.schema]
    yield finding.problem(f"{finding.what} must not be {edge} than {finding.wanted}", expected=" and ".join(bounds))


_EXPLANATIONS: dict[str, Callable[[_Finding], Iterator[Problem]]] = {
    "additionalProperties": _unknown_keys,
    "required": _missing_key,
    "requiredOnceMerged": _missing_key,
    "dependencies": _missing_dependency,
    "type": _wrong_type,
    "enum": _not_a_choice,
    "pattern": _wrong_text,
    "uniqueItems": _repeated,
    "minItems": _empty,
    "minLength": _empty,
    "minProperties": _empty,
    "minimum": _out_of_range,
    "maximum": _out_of_range,
}


def _kind_of(value: object) -> str:
    if isinstance(value, bool):
        return "true or false"
    kinds = {dict: "a mapping", list: "a list", str: "text", int: "a number", float: "a fraction"}
    return kinds.get(type(value), "empty")


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 3] + "..."


def _plainly(value: object) -> str:
    """The value as YAML, without quotes where possible."""
    return value if isinstance(value, str) and re.fullmatch(r"[A-Za-z][\w./-]*", value) else _shown(value)


def flow(value: object) -> str:
    """The value as YAML in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    return _plainly(value)


def _correction(wanted: list[str], node: Node, examples: list[Any]) -> str:
    """The YAML to write instead of a value of the wrong type, if that is clear."""
    value, written = node.value, node.written
    if len(written) > MAX_SHOWN or "\n" in written or written == "":
        return ""
    if "string" in wanted and isinstance(value, bool | int | float):
        # true for a switch that may also be a number, such as a kernel parameter, is 1.
        return str(int(value)) if isinstance(value, bool) and "integer" in wanted else json.dumps(written)
    if "boolean" in wanted and isinstance(value, str):
        return {**_TRUTH, "true": "true", "false": "false"}.get(value.lower(), "")
    if "integer" in wanted and re.fullmatch(r"-?\d{1,18}(\.0*)?", written, re.ASCII):
        return written.partition(".")[0]
    is_item = "array" in wanted and isinstance(value, str) and not set(written) & set("[]{}:#") and written[0] != "-"
    of_numbers = wanted == ["array"] and bool(examples) and isinstance(examples[0], list) and examples[0][:1] != []
    is_item = is_item or (of_numbers and type(value) is int and isinstance(examples[0][0], int))
    return f"[{written}]" if is_item else ""


def _type_hint(wanted: list[str], finding: _Finding, suggestion: str) -> str:
    node, examples = finding.node, finding.schema.get("examples", [])
    if suggestion:
        how = "in quotes" if suggestion.startswith('"') else "in brackets" if wanted == ["array"] else "as"
        return f"write it {how}: {suggestion}"
    if node.value is None and node.written:
        is_inherited = "unset" in finding.whole.get("properties", {})
        return "remove the key" + "; to drop an inherited one, use `unset`" * is_inherited
    if "string" in wanted and isinstance(node.value, bool | int | float):
        texts = [example for example in examples if isinstance(example, str)]
        return f"write it in quotes, for example: {json.dumps(texts[0])}" if texts else "write it in quotes"
    if found := _slip(wanted, node, finding.schema):
        return found
    return f"for example: {flow(examples[0])}" if examples else ""


def _slip(wanted: list[str], node: Node, schema: Mapping[str, Any]) -> str:
    """A hint for a common typing mistake; "" if it is not one."""
    text = node.value if isinstance(node.value, str) else ""
    if "array" in wanted and re.match(r"-[^\s-]", text):
        return "put a space after each dash"
    key = re.match(r"(\w+):\S", text)
    if wanted == ["object"] and key and key[1] in schema.get("properties", {}):
        return "put a space after the colon"
    name = node.value.get("name") if isinstance(node.value, dict) else None
    return f"write the name alone: {flow(name.value)}" if name and wanted == ["string"] else ""


def _other_level(schema: Mapping[str, Any], key: str, trail: Sequence[Step]) -> str:
    """A hint for a key at the wrong level; "" if the schema has it at no other level, or at several."""
    top: Mapping[str, Any] = schema.get("properties", {})
    at_top = not trail or (trail[0] == "profiles" and len(trail) == 2)
    if not at_top:
        node = top.get(key)
        is_usable = isinstance(node, dict) and "not" not in node
        return f"`{key}` is a top-level key: indent it less" if is_usable else ""
    found = [name for name, node in top.items() if isinstance(node, dict) and key in node.get("properties", {})]
    return f"it is a key of `{found[0]}`" if len(found) == 1 else ""
